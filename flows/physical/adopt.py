"""Adoption of a backup that was made by hand with the page's command.

When: somebody ran pg_basebackup by hand, and the backup shall count.
Loses: nothing; the files stay as they are, backup.json is added.
Requires: its directory backup_<YYYYmmddHHMMSS> in the cluster's folder of the store.
Way back: remove its backup.json.
"""

from __future__ import annotations

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import step
from tasks import adoption, catalogue, locate


@procedure("adopt")
def adopt(
    cluster: str, backup: str, destination: str = "", reason: str = "", dry_run: bool = True
) -> None:
    """Verify a backup made by hand and enter it in the catalogue.

    Args:
        cluster: Name of the cluster.
        backup: Name of its directory: backup_ and 14 digits.
        destination: Name of the store; empty means the one of the cluster's settings.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)
    store = load_store(destination or shop.backups.store)

    with catalogue.opened(store, shop, locate.keeper(shop, store)) as backups:
        with step("1", "Find the backup and its manifest"):
            found = adoption.find(backups, backup)

        with step("2", "Verify every byte and enter it in the catalogue"):
            adoption.enter(backups, found, shop)
