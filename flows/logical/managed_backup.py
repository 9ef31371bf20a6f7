"""Logical backup made by the a9s Backup Manager.

When: every night, before anything risky, and after a change of the encryption key.
Loses: nothing; PostgreSQL and the applications keep running.
Requires: block "PostgreSQL cluster" with manager and manager_password.
Way back: none is needed; the manager's own retention removes the backup.
"""

from __future__ import annotations

from blocks.load import load_cluster
from flows._procedure import procedure
from runbook import step
from tasks import managed_backup as backups
from tasks import unfinished


@procedure("managed-backup", scheduled=True, hour=4, needs="manager")
def managed_backup(cluster: str, reason: str = "", dry_run: bool = True) -> None:
    """Let the Backup Manager make a backup, wait until it is done, and look at its size.

    Args:
        cluster: Name of the cluster.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)

    with step("1", "Ask the Backup Manager what it knows"):
        unfinished.nothing_half_done(shop)
        wanted = backups.ask(shop)

    with step("2", "Trigger a backup"):
        backups.order(wanted)

    with step("3", "Wait until the backup is done"):
        backups.wait(wanted)

    with step("4", "See that its size can be right"):
        backups.judge(wanted)
