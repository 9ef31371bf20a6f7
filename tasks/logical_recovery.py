"""Recovery from a logical backup: old databases aside, the backup loaded, the recovery closed."""

from __future__ import annotations

from datetime import UTC, datetime

from runbook import Need, ensure, note
from runbook.actions import Action, Work
from runbook.cluster import Cluster
from runbook.errors import RunbookError
from runbook.logical.load import load as load_dump
from runbook.logical.recovery.databases import databases
from runbook.logical.recovery.job import Recovery
from runbook.logical.recovery.surveying import counted
from runbook.logical.settings import LogicalBackups
from runbook.replication.survey import survey
from runbook.run import current
from tasks._task import task
from tasks.logical_choice import other_system

_WAY_BACK = (
    "The databases of before stand aside on the primary, and the applications are held: start the "
    "runbook again, name another backup, or go back by hand as its page tells."
)


@task("set the existing databases aside")
def set_aside(job: Recovery) -> None:
    """Rename what stands under the names that the load needs; nothing is dropped."""
    ensure(
        f"nothing of before stands under the names of the databases in {job}",
        holds=job.is_aside,
        needs=[_only_writer(job)],
        by=job.set_aside,
    )


@task("load {job}")
def load(cluster: Cluster, job: Recovery, wanted: LogicalBackups) -> None:
    """Load the backup; what an earlier, unfinished load has made is dropped first."""
    line = f"psql --quiet postgres < {job}.dump"

    def deed() -> str:
        return _load(cluster, job, wanted)

    def actions() -> tuple[Action, ...]:
        loading = Work(job.primary.host.name, line, deed)
        return () if job.is_loaded() else (*job.clearing(), loading)

    ensure(
        f"{job} is loaded",
        holds=job.is_loaded,
        needs=[_only_writer(job), Need("the old databases are aside", job.is_aside)],
        by=actions,
    )


@task("close the recovery of {job}")
def finish(job: Recovery) -> None:
    """Write down that the cluster is in service again, and say what is left to do."""
    ensure(
        "the recovery has come to its end",
        holds=lambda: job.has("finished"),
        by=[job.noting("finished")],
    )
    mark = job.mark()
    if mark is not None and mark.kept:
        asides = ", ".join(sorted(mark.kept))
        note(f"kept aside on {job.primary}: {asides}; discard-databases removes them for good")
    for name in mark.witnesses if mark is not None else ():
        note(f"witness {name} is not registered: repmgr witness register -F on its host")
    once = ", with other_system=true, once," if other_system(job.dump, job.lineup) else ""
    note(
        f"take backups now{once} (logical-backup, base-backup): those of before are of another "
        "history"
    )


def _load(cluster: Cluster, job: Recovery, wanted: LogicalBackups) -> str:
    run, recovery = current(), wanted.recovery
    title = f"load of {job}"
    try:
        loaded = load_dump(
            counted(job.dump, cluster.encryption_keys, title, job.contents.size),
            job.contents,
            job.primary,
            lanes=recovery.lanes,
            expected=recovery.expected_errors,
            progress=lambda _: run.go_on(),
            made=job.has_made,
        )
    except RunbookError as error:
        error.hint = f"{error.hint} {_WAY_BACK}".strip()
        raise
    now = databases(job.primary)
    after = {name: now[name].oid for name in job.names if name in now}
    job.note(after=after, loaded=datetime.now(UTC))
    return f"loaded {sum(loaded.rows.values())} rows into {len(loaded.rows)} tables"


def _only_writer(job: Recovery) -> Need:
    return Need(
        f"{job.primary} is the only node that accepts writes",
        lambda: [node.name for node in survey(job.lineup.cluster).writable] == [job.primary.name],
        seen=lambda: survey(job.lineup.cluster).told,
        hint="Was another node promoted? Find out which one is right before you go on.",
    )
