"""Restore of a cluster by the a9s Backup Manager.

When: its data is lost, damaged, or must go back to an earlier night, and the manager still works.
Loses: everything written after the backup; for a9s-pg also what platform services knew since then.
Requires: block "PostgreSQL cluster" with manager and manager_password; an approval.
Way back: none; take a backup first (managed-backup, logical-backup), and restore that one.
"""

from __future__ import annotations

from blocks.load import load_cluster
from flows._procedure import procedure
from runbook import approve, step
from tasks import health
from tasks import managed_restore as restore


@procedure("managed-restore", needs="manager")
def managed_restore(
    cluster: str,
    backup: str = "latest",
    again: bool = False,
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Let the Backup Manager restore a backup, and follow it where the manager cannot tell.

    Args:
        cluster: Name of the cluster.
        backup: Id or backup_id, latest, or latest-downloadable.
        again: Restore once more although this backup was restored last.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)

    with step("1", "Choose the backup"):
        job = restore.choose(shop, backup, again)

    with step("2", "See what the restored state cannot know"):
        restore.foresee(job, shop.objectives)

    with step("3", "Ask for the go-ahead"):
        approve(f"{shop} goes back to {job.backup}; what was written since then is lost.")

    with step("4", "Trigger the restore"):
        restore.order(job)

    with step("5", "Wait until it has ended, the manager's own outage included"):
        restore.wait(job)

    with step("6", "Check the cluster's health"):
        health.cluster_is_healthy(shop)

    with step("7", "Tell what the restored state does not know"):
        restore.close(job, shop.objectives)
