"""Component databases: loaded beside the old ones, checked, and put in their place."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from runbook import check, ensure, note
from runbook.components.archive import contents_of_archive, contents_of_database, rows_compared
from runbook.components.giving_up import closed_in, openings
from runbook.components.group import ServerGroup
from runbook.components.properties import properties
from runbook.components.restoring import ComponentRestore
from runbook.components.swapping import RENAME_SECONDS, Swapping
from runbook.errors import CheckFailed
from runbook.postgres.relations import read_relations_of
from tasks._task import task

_SHOWN = 5


@task("load the dumps beside the living databases")
def load(jobs: Sequence[ComponentRestore]) -> None:
    """See that every dump stands whole in a new database that no application knows."""
    for job in jobs:
        if job.in_place():
            note(f"{job} is in place already")
            continue
        with job.unfinished_dropped():
            ensure(
                f"{job} stands loaded beside {job.database}",
                holds=job.is_ready,
                by=job.loading,
            )


@task("check the new databases")
def prove(jobs: Sequence[ComponentRestore]) -> None:
    """Read every relation of every new database, and hold it against its archive."""
    for job in jobs:
        for text, holds in (
            (f"every relation of the new {job.database} can be read", _is_read),
            (f"the new {job.database} has the tables, owners and extensions of {job}", _is_whole),
            (f"every table of the new {job.database} has the rows of {job}", _has_rows),
            (f"the new {job.database} has the rights, settings and comment of {job}", _is_dressed),
        ):
            check(text, partial(holds, job), unless=job.in_place)


@task("put the new databases in place")
def put_in_place(jobs: Sequence[ComponentRestore]) -> None:
    """Close and empty the old databases, and rename all of them in one transaction."""
    swapping = Swapping(tuple(jobs))
    ensure(
        f"the restored data bears the name: {swapping}",
        holds=swapping.is_done,
        by=swapping.actions,
        within=RENAME_SECONDS,
    )


@task("let applications into what an interrupted restore keeps closed")
def let_in(group: ServerGroup, jobs: Sequence[ComponentRestore]) -> None:
    """See that no other database is kept closed: its restore was killed before it renamed it."""
    mine = {job.database for job in jobs}

    def closed() -> list[str]:
        return [name for name in closed_in(group) if name not in mine]

    for name in closed():
        note(f"{name} stays as it was before the restore of it that was killed: start that again")
    ensure(
        "no interrupted restore keeps another component database closed",
        holds=lambda: not closed(),
        by=lambda: openings(group, closed()),
    )


@task("close the restore")
def close(jobs: Sequence[ComponentRestore]) -> None:
    """Write down that the databases are in service again."""
    for job in jobs:
        ensure(
            f"the restore of {job.database} has come to its end",
            holds=partial(_is_closed, job),
            by=lambda job=job: [job.finishing()],  # type: ignore[misc]
        )


def _is_closed(job: ComponentRestore) -> bool:
    return job.in_place() and job.is_closed()


def _is_read(job: ComponentRestore) -> bool:
    count = read_relations_of(job.node, job.database_of_proof())
    note(f"{count} relations of the new {job.database} can be read")
    return True


def _is_whole(job: ComponentRestore) -> bool:
    new = contents_of_database(job.node, job.database_of_proof())
    dumped = contents_of_archive(job.node, job.path)
    if new != dumped:
        raise _differs(job, f"{new}\nin the archive {dumped}")
    now = job.standing()
    if now is not None and now.open:
        note(f"the old {job.database} has {contents_of_database(job.node, job.database)}")
    note(f"the new {job.database} has {new}")
    return True


def _has_rows(job: ComponentRestore) -> bool:
    tables = rows_compared(job.node, job.path, job.database_of_proof())
    wrong = [one for one in tables if not one.is_right]
    if wrong:
        told = (f"{one.table}: {one.found} rows, dumped {one.dumped}" for one in wrong[:_SHOWN])
        raise _differs(job, "; ".join(told))
    note(f"{sum(one.found for one in tables)} rows in {len(tables)} tables of {job.database}")
    return True


def _is_dressed(job: ComponentRestore) -> bool:
    new = properties(job.node, job.database_of_proof())
    different = new.differences(job.dump.properties)
    if different:
        raise _differs(job, "; ".join(different))
    return True


def _differs(job: ComponentRestore, seen: str) -> CheckFailed:
    name = job.database_of_proof()
    return CheckFailed(
        f"{name} on {job.node} is not what {job} holds",
        detail=seen,
        hint=f'Applications still use the old one. DROP DATABASE "{name}"; then start again.',
    )
