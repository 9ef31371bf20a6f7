"""Restore of a single PostgreSQL instance from a base backup.

When: its data is lost, damaged, or must go back to an earlier night.
Loses: everything written after the backup. The old data is kept aside where there is room.
Requires: blocks "PostgreSQL cluster" and "backup store"; an approval.
Way back: instance-restore-undo puts the old data back; discard-aside removes it for good.
"""

from __future__ import annotations

from typing import Literal

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import approve, step
from tasks import apps, catalogue, health, restore, restore_fitness, service


@procedure("instance-restore", needs="single")
def instance_restore(
    cluster: str,
    backup: str = "latest",
    timeline: Literal["fork", "keep"] = "fork",
    tablespace_map: str = "",
    other_system: bool = False,
    remove_old: bool = False,
    again: bool = False,
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Put a single instance back to a base backup, with its applications.

    Args:
        cluster: Name of the cluster.
        backup: Id of the backup, or latest.
        timeline: fork begins a new timeline, keep goes on with the old one.
        tablespace_map: OLDDIR=NEWDIR pairs, separated by commas.
        other_system: Replace another database system's data, or use another cluster's backup.
        remove_old: Where there is no room for both: remove the old data first, for good.
        again: Restore once more although this backup is already in place.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)
    node = shop.only_node().located()
    wishes = restore_fitness.Wishes(timeline, tablespace_map, other_system, remove_old, again)

    with catalogue.opened(load_store(shop.backups.store), shop, node) as backups:
        with step("1", "Choose the backup and check that it fits"):
            chosen = restore_fitness.choose(backups, shop, backup, wishes)
            job = restore_fitness.fits(node, chosen, backups, wishes)

        with step("2", "Verify the backup, beside the living data where there is room"):
            restore.make_ready(job)

        with step("3", "Ask for the go-ahead"):
            approve(f"{shop} goes back to {chosen.id}; what was written since then is lost.")

        with step("4", "Stop the applications"):
            restore.begin_outage(job, shop.apps)
            apps.stop(shop.apps, unless=job.in_place)

        with step("5", "Stop PostgreSQL"):
            service.stop(node, unless=job.in_place)

        with step("6", "Set the old data aside and put the backup in its place"):
            restore.put_in_place(job)

    with step("7", "Start PostgreSQL"):
        service.start(node)
        restore.finish(job)

    with step("8", "Prove the data and start the applications"):
        health.every_relation(node)
        health.collations(node)
        apps.start(shop.apps)

    with step("9", "Validation"):
        health.applications(shop)
        restore.serves(job)
        health.report(job, shop.objectives)
        restore.close(job)
