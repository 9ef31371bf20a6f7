"""Escrow check: the stored key opens the stored backup.

When: every night after the backup, after every change of key, and before a risky change.
Loses: nothing.
Requires: block "PostgreSQL cluster" with logical and encryption_keys, block "backup store".
Way back: none is needed: it only reads.
"""

from __future__ import annotations

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import step
from tasks import locate, logical_backup, logical_verification


@procedure("verify-logical-backup", scheduled=True, alone=False, hour=5, needs="logical")
def verify_logical_backup(
    cluster: str, backup: str = "latest", reason: str = "", dry_run: bool = True
) -> None:
    """Open a stored logical backup with the stored key and read it to its last byte.

    Args:
        cluster: Name of the cluster.
        backup: Id of the backup, or latest.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)
    store = load_store(logical_backup.settings_of(shop).store)

    with logical_backup.opened(store, shop, locate.keeper(shop, store)) as backups:
        with step("1", "Choose the backup"):
            chosen = logical_verification.choose(backups, backup)

        with step("2", "Open it with the stored key, to its last byte"):
            logical_verification.verify(backups, shop, chosen)
