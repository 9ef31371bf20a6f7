"""Removal of old backups.

When: every night after the backup, or when the store fills up.
Loses: the backups that the plan names. The newest verified ones always remain.
Requires: blocks "PostgreSQL cluster" and "backup store".
Way back: none; so it is planned first.
"""

from __future__ import annotations

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import step
from tasks import backup, catalogue, locate, retention


@procedure("prune")
def prune(
    cluster: str,
    keep: int = 0,
    keep_days: int = 0,
    former_system: str = "",
    destination: str = "",
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Remove backups that the retention rule no longer keeps.

    Args:
        cluster: Name of the cluster.
        keep: Newest verified backups that remain; 0 means as the settings say.
        keep_days: Keep also what is younger than so many days; 0 means as the settings say.
        former_system: Identifier of a database system that is no more: all of its backups go.
        destination: Name of the store; empty means the one of the cluster's settings.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)
    store = load_store(destination or shop.backups.store)

    with catalogue.opened(store, shop, locate.keeper(shop, store)) as backups:
        with step("1", "Find the backups that the rule no longer keeps"):
            expendable = retention.expendable(backups, shop, keep, keep_days, former_system)

        with step("2", "Remove them, each as a whole"):
            backup.clear_leftovers(backups)
            for going in expendable:
                retention.remove(backups, going)

        with step("3", "Prove that the newest backups remain"):
            retention.remain(backups, shop, keep)
