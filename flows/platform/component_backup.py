"""Dumps of the component databases of a server group.

When: every night, and during a deploy.
Loses: nothing; PostgreSQL and the applications keep running.
Requires: block "PostgreSQL cluster" with components; room in their folder.
Way back: none needed; nothing but files in the folder and the store was changed.
"""

from __future__ import annotations

from typing import Literal

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import step
from runbook.components.places import opened
from tasks import component_backup as dumps
from tasks import component_files, component_group, unfinished


@procedure(
    "component-backup", scheduled=True, hour=5, needs="components", part_of="platform-backup"
)
def component_backup(
    cluster: str,
    occasion: Literal["daily", "deploy"] = "daily",
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Dump every component database by itself, read back to its last byte.

    Args:
        cluster: Name of the cluster.
        occasion: daily or deploy; of each the newest dumps are kept.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)

    with step("1", "Find the servers of the group and the component databases"):
        unfinished.nothing_half_done(shop)
        group = component_group.find(shop, occasion)

    with opened(group, load_store) as places:
        with step("2", "Check programs and space"):
            component_group.fit(places)

        with step("3", "Clear what interrupted runs left behind"):
            component_files.clear_leftovers(places)

        with step("4", "Dump every component database, and read every dump back"):
            failed = dumps.dump_all(places, occasion)

        with step("5", "Copy the dumps to the store"):
            failed += dumps.upload_all(places, occasion)

        with step("6", "Remove the dumps that the rule no longer keeps"):
            component_files.prune(places, occasion)

        with step("7", "See that every server has its dumps"):
            dumps.all_kept(places, failed)
