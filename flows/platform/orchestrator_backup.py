"""A backup of the Orchestrator: its release, its database and the cluster configuration.

When: every night, and before the Orchestrator is shut down, upgraded or moved.
Loses: nothing; the Orchestrator and the cluster go on.
Requires: block "PostgreSQL cluster" with orchestrator; room in its folder on the Orchestrator.
Way back: none needed; nothing but files in that folder and in the store was changed.
"""

from __future__ import annotations

from typing import Literal

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import step
from runbook.orchestrator.places import opened
from tasks import orchestrator_backup as backups
from tasks import orchestrator_files, orchestrator_fitness


@procedure(
    "orchestrator-backup", scheduled=True, hour=1, needs="orchestrator", part_of="platform-backup"
)
def orchestrator_backup(
    cluster: str,
    way: Literal["automated", "manual"] = "automated",
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Back up the Orchestrator into the store, read back to its last byte.

    Args:
        cluster: Name of the cluster whose one node is the Orchestrator.
        way: automated, by orchestrator-cli; manual, by pg_dump, for releases before 0.5.3.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    with step("1", "Find the Orchestrator and its database"):
        orchestrator = orchestrator_fitness.find(load_cluster(cluster), way)

    with opened(orchestrator, load_store) as places:
        with step("2", "Check the program, the configuration and the space"):
            orchestrator_fitness.fit(places, way)

        with step("3", "Clear what interrupted runs left behind"):
            orchestrator_files.clear_leftovers(places)

        with backups.begun(places, way) as making:
            with step("4", "Backup the Orchestrator DB and cluster.conf file"):
                backups.make(making)

            with step("5", "Copy the archive to the store, and read it back whole"):
                backups.store(making)

        with step("6", "Remove the backups that the rule no longer keeps"):
            orchestrator_files.prune(places)
