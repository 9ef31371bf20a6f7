"""Removal of the old data that a restore has set aside.

When: the restored cluster has proven itself, and the room is needed.
Loses: the old data, for good. There is no undo after it.
Requires: an approval.
Way back: none.
"""

from __future__ import annotations

from blocks.load import load_cluster
from flows._procedure import procedure
from runbook import approve, step
from tasks import kept


@procedure("discard-aside")
def discard_aside(
    cluster: str, stamp: str, node: str = "", reason: str = "", dry_run: bool = True
) -> None:
    """Remove what a restore has set aside.

    Args:
        cluster: Name of the cluster.
        stamp: The 14 digits at the end of <data directory>.aside-… or .undone-….
        node: Name of the node; empty for a single instance.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)
    server = (shop.node(node) if node else shop.only_node()).located()

    with step("1", "Find what was set aside"):
        old = kept.find_or_gone(server, stamp)

    with step("2", "Ask for the go-ahead"):
        approve(f"The data set aside at {stamp} on {server} is removed for good.")

    with step("3", "Remove it"):
        kept.discard(old)
