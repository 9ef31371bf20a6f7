"""Verification of a stored backup.

When: every week, after trouble with the store, and before a risky change.
Loses: nothing. A damaged backup is marked and never chosen again.
Requires: blocks "PostgreSQL cluster" and "backup store".
Way back: a later verification that finds it sound takes the mark away.
"""

from __future__ import annotations

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import step
from tasks import catalogue, locate, verification


@procedure("verify-backup")
def verify_backup(
    cluster: str,
    backup: str = "latest",
    destination: str = "",
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Read a stored backup to its last byte and hold it against its manifest.

    Args:
        cluster: Name of the cluster.
        backup: Id of the backup, or latest.
        destination: Name of the store; empty means the one of the cluster's settings.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)
    store = load_store(destination or shop.backups.store)

    with catalogue.opened(store, shop, locate.keeper(shop, store)) as backups:
        with step("1", "Choose the backup"):
            chosen = verification.choose(backups, shop, backup)

        with step("2", "Read every byte against its manifest"):
            verification.verify(backups, chosen)
