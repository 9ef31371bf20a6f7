"""The way back from an instance restore: the old data returns.

When: a restore was the wrong one, or made things worse.
Loses: everything written since the restore; it is kept as undone until discard-aside.
Requires: the old data still kept aside on the node; an approval.
Way back: instance-restore restores again.
"""

from __future__ import annotations

from blocks.load import load_cluster
from flows._procedure import procedure
from runbook import approve, step
from tasks import apps, health, kept, service


@procedure("instance-restore-undo", needs="single")
def instance_restore_undo(
    cluster: str, stamp: str = "latest", reason: str = "", dry_run: bool = True
) -> None:
    """Put back the data that an instance restore has set aside.

    Args:
        cluster: Name of the cluster.
        stamp: The 14 digits at the end of <data directory>.aside-…; or latest.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)
    node = shop.only_node().located()

    with step("1", "Find what was set aside"):
        kept.nothing_half_in_place(node, stamp)
        old = kept.find(node, stamp)
        kept.not_overtaken(old)

    with step("2", "Ask for the go-ahead"):
        approve(f"{shop} goes back to the data set aside at {old.stamp}.")

    with step("3", "Stop the applications"):
        apps.stop(shop.apps, unless=old.is_back)

    with step("4", "Stop PostgreSQL"):
        service.stop(node, unless=old.is_back)

    with step("5", "Put the old data back in its place"):
        kept.put_back(old)

    with step("6", "Start PostgreSQL"):
        service.start(node)

    with step("7", "Prove the data and start the applications"):
        health.every_relation(node)
        apps.start(shop.apps)

    with step("8", "Validation"):
        health.applications(shop)
        kept.close(old)
