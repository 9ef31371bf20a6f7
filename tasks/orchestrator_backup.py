"""Backups of an Orchestrator: made by its own program, stored, and told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runbook import ensure
from runbook.actions import Work
from runbook.evidence import Kept, KeptFile
from runbook.orchestrator.backup import OrchestratorBackup, Way
from runbook.orchestrator.making import Making
from runbook.orchestrator.places import Places
from runbook.orchestrator.storing import Storing
from runbook.run import Run, current
from runbook.units import readable_bytes, readable_seconds
from tasks._task import task


@contextmanager
def begun(places: Places, way: Way) -> Iterator[Making]:
    """Give the backup of this run; what it wrote is removed when the block ends badly."""
    making = Making(places, way, current().id, places.stamp())
    with making.removed_unless_well():
        yield making


@task("make the archive")
def make(making: Making) -> None:
    """See that the archive of this run lies on the Orchestrator, or is stored already."""
    vault = making.places.vault
    ensure(
        f"an archive of {making.places.live} by this run is made",
        holds=lambda: vault.of_run(making.run_id) is not None or making.is_made,
        by=making.actions,
    )


@task("store the archive")
def store(making: Making) -> None:
    """See that the archive of this run lies in the store, verified, and nowhere else."""
    places, run = making.places, current()
    ensure(
        f"a verified backup of {places.live} by this run lies in {places.vault}",
        holds=lambda: places.vault.of_run(run.id) is not None,
        by=Storing(places, making).actions,
    )
    ensure(
        f"nothing of this run lies on {places.live}",
        holds=lambda: making.folder.rpartition("/")[2] not in places.workshop.left(),
        by=[
            Work(
                places.live.node.host.name,
                f"rm -rf -- {making.folder}",
                lambda: _cleared(making),
            )
        ],
    )
    made = places.vault.of_run(run.id)
    if made is not None and not run.planning:
        _on_record(run, made)
        run.kept.append(_kept(places, made))
        run.watcher.finished(f"backup of {places.live}", _table(places, made))


def _cleared(making: Making) -> str:
    making.places.workshop.clear(making.run_id)
    return f"removed {making.folder}"


def _on_record(run: Run, made: OrchestratorBackup) -> None:
    """Write down what a reviewer needs to find and check a backup."""
    run.record(
        "backup",
        role="taken",
        id=made.id,
        node=made.node,
        size=made.database_size,
        stored=made.size,
        seconds=made.seconds,
        finished=made.finished.isoformat(timespec="seconds"),
        verified=made.verified.isoformat(timespec="seconds"),
        server_version=str(made.server_major),
        objects=[{"name": made.archive, "size": made.size, "sha256": made.sha256}],
    )


def _kept(places: Places, made: OrchestratorBackup) -> Kept:
    files = (KeptFile(made.archive, made.size, made.sha256),)
    return Kept(made.id, (f"{places.vault}/{made.id}",), files, made.verified, made.finished)


def _table(places: Places, made: OrchestratorBackup) -> str:
    return "\n".join(
        (
            "| backup | archive | size | took | release | tables | SHA-256 |",
            "|---|---|---|---|---|---|---|",
            f"| {made.id} ({made.way}) | `{places.vault}/{made.id}/{made.archive}` "
            f"| {readable_bytes(made.size)} | {readable_seconds(made.seconds)} "
            f"| {made.release or 'not in it'} | {made.tables} | `{made.sha256}` |",
        )
    )
