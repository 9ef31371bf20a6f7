"""Restores: made ready beside the living data where there is room, put in its place, closed."""

from __future__ import annotations

from collections.abc import Sequence

from runbook import Need, ensure
from runbook.actions import Work
from runbook.apps import App
from runbook.backups.reading import stored_backup
from runbook.postgres import Node
from runbook.restore.job import Restore
from runbook.restore.remains import Remains
from runbook.run import current
from tasks import archiving
from tasks._task import task

# A supervisor that revives a server takes a moment to do it; a held service needs no watching.
_REVIVAL_SECONDS = 2.0


@task("make the backup ready and verify it")
def make_ready(job: Restore) -> None:
    """Verify the backup before anything is stopped: beside the living data, or in the store."""
    if job.beside:
        with job.making_ready.whole_or_gone(outage=bool(job.clock.started_by())):
            ensure(
                f"{job.backup.id} stands verified beside the living data",
                holds=job.ready,
                by=job.making_ready.actions,
                unless=job.in_place,
            )
        if not job.in_place() and not job.clock.started_by():
            current().if_refused.append(job.given_back())
        return
    catalogue = job.making_ready.catalogue
    line = f"read every byte of {job.backup.id} against its manifest"
    work = Work(str(catalogue), line, lambda: _verified_in_store(job), changes=False)
    ensure(
        f"{job.backup.id} is verified in the store by this run",
        holds=lambda: job.ready() or "verified in store" in current().memory,
        by=[work],
        unless=job.in_place,
    )


@task("write down when the outage begins")
def begin_outage(job: Restore, apps: Sequence[App]) -> None:
    """Keep the moment of the first stop on the node, where it outlives this run."""
    ensure(
        "the moment of the first stop is written down",
        holds=lambda: _is_written_down(job, apps),
        by=[job.clock.start(current().id)],
        unless=job.in_place,
    )


@task("put the backup in the place of the data directory")
def put_in_place(job: Restore) -> None:
    """Swap the directories by renaming; where there was no room, remove, stream and swap."""
    nobody_works = Need(
        f"no server runs on {job.live}",
        lambda: _stays_stopped(job.node),
        seen=lambda: "a server is at work there; applications and data are as step 5 left them",
        hint="Something starts it again: a supervisor that the settings do not name? "
        "Stop that, or name it as the node's service, and start the runbook again.",
    )
    if not job.beside:
        ensure(
            "the old data is removed, because there is no room for both",
            holds=job.ready,
            needs=[nobody_works],
            by=lambda: job.making_ready.actions(remove_old=True),
            unless=job.in_place,
        )
    ensure(
        f"{job.live} is {job.backup.id}, restored",
        holds=job.in_place,
        needs=[Need(f"{job.backup.id} is ready and verified", job.ready), nobody_works],
        by=job.put_in_place,
    )


@task("take the recovery's settings away on {job.node}")
def finish(job: Restore) -> None:
    """Give the server the settings back that it had in the backup."""
    ensure(
        "the settings of the recovery are gone",
        holds=job.finished,
        by=job.finish,
    )
    archiving.none_by_command_line(job)


@task("write down that the applications run again")
def serves(job: Restore) -> None:
    """Keep the length of the outage, from the first stop until now: a later run tells the same."""
    ensure("the length of the outage is written down", holds=job.serves, by=job.note_service)


@task("close the restore of {job.backup.id}")
def close(job: Restore) -> None:
    """Write down that the cluster is in service again; nothing that was not used stays behind."""
    remains = Remains(job)
    if not current().planning:
        archiving.tell(job)
    ensure(
        "nothing is left that was made ready and not used",
        holds=lambda: not remains.are_left(),
        by=remains.cleared,
    )
    ensure("the restore has come to its end", holds=job.closed, by=job.close)


def _verified_in_store(job: Restore) -> str:
    run = current()
    title = f"verification of {job.backup.id}"
    stored_backup(job.making_ready.catalogue, job.backup).verify(
        lambda done, total: run.progress(title, done, total)
    )
    run.memory["verified in store"] = True
    return f"{job.backup.id} is sound"


def _is_written_down(job: Restore, apps: Sequence[App]) -> bool:
    """Tell whether this run stopped something, or an earlier one whose stop still lasts."""
    by = job.clock.started_by()
    if by in ("", current().id):
        return bool(by)
    return not (job.node.accepts_writes() and all(app.is_running() for app in apps))


def _stays_stopped(node: Node) -> bool:
    held = node.service.held(node)
    is_held = held is not None and node.host.attempt(held).exit_code == 0
    return node.stays_stopped(0.0 if is_held else _REVIVAL_SECONDS)
