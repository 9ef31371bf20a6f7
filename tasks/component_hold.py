"""Dumps that a restore has chosen: held while people think, so that no backup removes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from runbook import ensure
from runbook.actions import Work
from runbook.components.catalogue import DumpCatalogue
from runbook.components.giving_up import held_by, when_refused
from runbook.components.places import Places
from runbook.components.restoring import ComponentRestore
from runbook.run import current
from tasks._task import task


@task("hold the dumps")
def hold(places: Places, jobs: Sequence[ComponentRestore]) -> None:
    """See that no backup removes the chosen dumps while people are asked, and until the end."""
    run = current()
    if not run.planning:
        run.if_refused.append(when_refused(places, run.id))
    for job in jobs:
        for catalogue in _lying(places, job):
            ensure(
                f"no backup removes {job} from {catalogue} until this restore has ended",
                holds=partial(_is_held, catalogue, job),
                by=[_holding(catalogue, job)],
            )


@task("release the dumps")
def release(places: Places, jobs: Sequence[ComponentRestore]) -> None:
    """See that retention decides over the dumps again."""
    for job in jobs:
        for catalogue in _lying(places, job):
            ensure(
                f"retention decides over {job} in {catalogue} again",
                holds=lambda job=job, catalogue=catalogue: not _holders(catalogue, job),  # type: ignore[misc]
                by=[Work(str(catalogue), f"rm {job}.held", partial(_release, catalogue, job))],
            )
    if not current().planning:
        for catalogue, database, stamp in held_by(places, current().id):
            catalogue.release(database, stamp, current().id)


def _lying(places: Places, job: ComponentRestore) -> list[DumpCatalogue]:
    found = (job.keeper.catalogue, *((places.vault,) if places.vault is not None else ()))
    return [
        catalogue
        for catalogue in found
        if job.dump.id in {files.id for files in catalogue.found(job.database)}
    ]


def _holders(catalogue: DumpCatalogue, job: ComponentRestore) -> tuple[str, ...]:
    return catalogue.holders(job.database, job.dump.id)


def _is_held(catalogue: DumpCatalogue, job: ComponentRestore) -> bool:
    return job.in_place() or current().id in _holders(catalogue, job)


def _holding(catalogue: DumpCatalogue, job: ComponentRestore) -> Work:
    return Work(str(catalogue), f"write {job}.held", partial(_hold, catalogue, job))


def _hold(catalogue: DumpCatalogue, job: ComponentRestore) -> str:
    catalogue.hold(job.database, job.dump.id, current().id)
    return f"{job} is held"


def _release(catalogue: DumpCatalogue, job: ComponentRestore) -> str:
    catalogue.release(job.database, job.dump.id)
    return f"{job} is released"
