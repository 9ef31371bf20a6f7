"""Base backup of a running cluster.

When: every night, and before anything risky.
Loses: nothing; PostgreSQL and the applications keep running.
Requires: blocks "PostgreSQL cluster" and "backup store"; a login for replication.
Way back: prune removes it again; nothing else was changed but, once, a line in pg_hba.conf.
"""

from __future__ import annotations

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import step
from tasks import access, backup, catalogue, locate, unfinished


@procedure("base-backup", scheduled=True)
def base_backup(
    cluster: str,
    destination: str = "",
    label: str = "",
    other_system: bool = False,
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Back up a running cluster, verified byte by byte.

    Args:
        cluster: Name of the cluster.
        destination: Name of the store; empty means the one of the cluster's settings.
        label: Text that PostgreSQL writes into backup_label.
        other_system: Begin with the backups of another database system, once; then they go on.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)
    store = load_store(destination or shop.backups.store)

    with step("1", "Locate the files of the running instance"):
        source = locate.backup_source(shop)
        unfinished.told(shop, source)

    with step("2", "Allow replication connections"):
        access.can_serve(source)
        access.allow_base_backups(source, shop)

    with catalogue.opened(store, shop, source) as backups:
        with step("3", "Clear what interrupted runs left behind"):
            backup.clear_leftovers(backups)

        with step("4", "Check the database system, clocks and space"):
            backup.same_system(source, backups, shop, other_system=other_system)
            backup.clocks_agree(source, backups)
            backup.has_room(source, store, backups)

        with step("5", "Create the backup, verified while it is written"):
            backup.create(source, shop, store, backups, label)
