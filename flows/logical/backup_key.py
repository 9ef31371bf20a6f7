"""Encryption key of the backups that the a9s Backup Manager makes.

When: the platform is installed; the key was seen by somebody, or its time is over.
Loses: nothing; older backups still need the older keys, which stay in the settings.
Requires: block "PostgreSQL cluster" with logical, encryption_keys, service_api; an approval.
Way back: name the older key in logical.key, and start it again.
"""

from __future__ import annotations

from blocks.load import load_cluster
from flows._procedure import procedure
from runbook import approve, step
from tasks import backup_key as keys


@procedure("backup-key", needs="service_api")
def backup_key(cluster: str, again: bool = False, reason: str = "", dry_run: bool = True) -> None:
    """Set the key of the settings at the a9s API, so that new backups are encrypted with it.

    Args:
        cluster: Name of the cluster.
        again: Set it although this key was set last from here.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)

    with step("1", "Find out guid and key as they are"):
        keys.guide(shop)

    with step("2", "Check that the new key is stored"):
        order = keys.stored(shop)

    with step("3", "Ask for the go-ahead"):
        approve(f"New backups of {shop} are encrypted with the key {order.name}.")

    with step("4", "Set the key through the a9s API"):
        keys.give(order, again)

    with step("5", "Make a backup with it"):
        keys.next_steps(shop)
