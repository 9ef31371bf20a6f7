"""Logical backup of a running cluster.

When: every night, and before anything that a base backup cannot take back, such as an upgrade.
Loses: nothing; PostgreSQL and the applications keep running.
Requires: block "PostgreSQL cluster" with logical and encryption_keys, block "backup store".
Way back: nothing was changed but for new objects in the store.
"""

from __future__ import annotations

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import step
from tasks import locate, unfinished
from tasks import logical_backup as logical


@procedure("logical-backup", scheduled=True, hour=3, needs="logical")
def logical_backup(
    cluster: str, other_system: bool = False, reason: str = "", dry_run: bool = True
) -> None:
    """Dump all databases of a running cluster into the store, encrypted and read back.

    Args:
        cluster: Name of the cluster.
        other_system: Begin with the backups of another database system, once; then they go on.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)
    store = load_store(logical.settings_of(shop).store)

    with step("1", "Find the server to dump"):
        source = locate.backup_source(shop)
        unfinished.nothing_half_done(shop, source)

    with step("2", "Check the versions and the key"):
        logical.can_dump(source, shop)

    with logical.opened(store, shop, source) as backups:
        with step("3", "Clear what interrupted runs left behind"):
            logical.clear_leftovers(backups)

        with step("4", "Check the database system, the clock and the space"):
            logical.same_system(source, backups, shop, other_system=other_system)
            logical.has_room(source, store, backups)

        with step("5", "Dump all databases, encrypted, and read them back to the last byte"):
            logical.create(source, shop, store, backups)
