"""The old Orchestrator: two must never live, so it is off before the new one begins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from runbook import check, ensure, fact, note
from runbook.errors import CheckFailed
from runbook.orchestrator.doors import has_twin
from runbook.orchestrator.former import FormerOrchestrator
from runbook.orchestrator.restoring import Restoring
from runbook.replication.fence import can_be_held
from runbook.run import current
from tasks import service
from tasks._task import task

_LOOKS = 3


@task("see how the old Orchestrator can be proven off")
def possible(job: Restoring) -> None:
    """Insist on a way into the old Orchestrator, or on a statement that is true now."""
    retirement = job.retirement
    _is_of_another(job)
    _refuse_a_living_one(job)
    if retirement.reach == "old":
        _is_the_old_one(job)
        return
    fact("old Orchestrator", f"{job.old}: {retirement.told()}")
    if not job.is_loaded():
        _insist_on_statement(job, retirement.told())
        fact("STATEMENT", f"a person says that {job.old} is off: {job.statement}")
    _is_silent(job, looks=1)


@task("take the old Orchestrator out of service")
def retire(job: Restoring) -> None:
    """See that the old one has no service and no database any more; or that a person says so."""
    _refuse_a_living_one(job)
    if job.retirement.reach == "old":
        _take_out(job)
        return
    if job.is_loaded():
        note(f"{job.old} was proven off before the backup was loaded")
    else:
        _insist_on_statement(job, job.retirement.told())
        current().record("statement", about=str(job.old), text=job.statement)
    _is_silent(job, looks=_LOOKS)


@task("see that the old Orchestrator is still out of service")
def stays_out(job: Restoring) -> None:
    """Insist that nobody has started it again."""
    for need in job.retirement.needs():
        check(need.text, need.holds, seen=need.seen, hint=need.hint)


def _is_of_another(job: Restoring) -> None:
    """Refuse what the new one has backed up of itself before anything was restored onto it."""
    itself = (job.live.node.name, job.live.identity.system_identifier)
    check(
        f"backup {job.backup.id} is not of {job.live} itself, as its image has it",
        lambda: (job.backup.node, job.backup.system_identifier) != itself or bool(job.marked.all()),
        hint="Name a backup of the old one. If the old one had the same name, and this is of it, "
        f"give node {job.live} another name in the inventory.",
    )


def _refuse_a_living_one(job: Restoring) -> None:
    """Refuse what no statement can make good: a machine that answers is not off."""
    retirement = job.retirement
    if retirement.reach == "nameless" and not job.is_proven():
        raise CheckFailed(
            f"{retirement.old}, the old Orchestrator, cannot be proven off: {retirement.told()}",
            detail=f"it is {retirement.old.host.way}: no silence is known where no address is",
            hint="Put its IP address into orchestrator.previous.host.way.",
        )
    if retirement.reach in {"closed", "unknown"}:
        raise CheckFailed(
            f"{retirement.old}, the old Orchestrator, cannot be taken out of service: "
            f"{retirement.told()}",
            detail="only silence can be believed: a machine that answers is not off",
            hint="Correct orchestrator.previous (its way in, its data_directory); or power the "
            "machine off, see that it is off, and say so in old_is_off.",
        )


def _insist_on_statement(job: Restoring, why: str) -> None:
    if not job.statement:
        raise CheckFailed(
            f"{job.old}, the old Orchestrator, cannot be taken out of service: {why}",
            detail="if it still runs, or comes back, two Orchestrators manage the cluster",
            hint="See that it is off and say so: "
            'old_is_off="<who saw it, when, and how>"; it stands in the plan and on record.',
        )


def _is_the_old_one(job: Restoring) -> None:
    """Insist that what will be stopped is an Orchestrator; tell which."""
    old, system = job.old, job.old.controldata().system_identifier
    same = system == job.backup.system_identifier
    which = "that of the backup" if same else f"NOT that of the backup: {system}"
    fact("old Orchestrator", f"{old}, {old.data_directory}; its database system is {which}")
    stopped = old.is_stopped()
    _is_alone(old, "another", job.retirement.neighbours)
    _no_other_machine_answers(job)
    if stopped and not _was_seen_at_work(job):
        _insist_on_statement(job, f"{old.data_directory} is {which}, and its server is stopped")
        fact("STATEMENT", f"a person says that {old} is off: {job.statement}")
    database = job.live.settings.database
    check(
        f"what runs on {old} is an Orchestrator: of the backup's system, or with its database",
        lambda: same or stopped or _has(job, database),
        hint="Correct orchestrator.previous: it would be stopped.",
    )
    _tell_of_its_end(job, lives=not stopped)


def _was_seen_at_work(job: Restoring) -> bool:
    """Tell whether a run onto this machine has stopped the old one itself.

    VMs of one image differ in no identifier, so a stopped one may be any of them. A mark tells it,
    also where the database that bears it was renamed.
    """
    return bool(job.marked.all()) or job.copied.noted() == _whom(job)


def _whom(job: Restoring) -> str:
    old = job.old
    return f"{old.controldata().system_identifier} {old.host.way} {old.data_directory}"


def _tell_of_its_end(job: Restoring, *, lives: bool) -> None:
    old = job.old
    if not job.is_loaded() and lives:
        note(
            f"{old} still lives. So that nothing of it is lost: make it the node of the cluster "
            "again, without orchestrator.previous; run orchestrator-backup; come back"
        )
    if not can_be_held(old):
        note(f"Nothing but its power switch keeps PostgreSQL on {old} from being started again.")
    if not old.services:
        note(
            f"No other services of {old} are known (previous.services): only PostgreSQL is stopped."
        )


def _take_out(job: Restoring) -> None:
    old = job.old
    ensure(
        f"{job.live} knows that {old} was seen at work",
        holds=lambda: old.is_stopped() or _was_seen_at_work(job),
        by=lambda: [job.copied.noting(_whom(job))],
    )
    for each in old.services:
        ensure(
            f"{each} on {old} does not run, and will not be started",
            holds=partial(old.is_out, each),
            by=partial(old.taking_out, each),
            within=60,
        )
    service.stop(old, unless=lambda: False)
    _is_alone(old, "any", job.retirement.strangers)
    _is_silent(job, looks=1)


def _is_alone(old: FormerOrchestrator, which: str, others: Callable[[], tuple[str, ...]]) -> None:
    if old.shared:
        note(f"Other PostgreSQL servers may run beside {old}: its own directory alone is judged.")
        return
    check(
        f"no PostgreSQL server of {which} data directory runs on {old.host}",
        lambda: not others(),
        seen=lambda: f"processes {', '.join(others()[:8])}",
        hint="Is previous.data_directory that of the Orchestrator? Where other servers share its "
        "machine, set previous.shared.",
    )


def _no_other_machine_answers(job: Restoring) -> None:
    """Insist, before anything is stopped, on what stopping the old one will not bring about."""
    strange = job.retirement.strange_doors()
    check(
        f"no other machine than {job.old} answers in its name: at {str(strange) or 'its address'}",
        lambda: strange.stay_shut(1) and not job.retirement.has_twin(),
        seen=lambda: ", ".join(strange.answering()) or f"a second machine has {job.old.address}",
        hint=f"If it is {job.old} itself, behind a floating or translated address: put that into "
        "orchestrator.previous.host.way.address, if one can log in there.",
    )


def _is_silent(job: Restoring, *, looks: int) -> None:
    retirement = job.retirement
    doors = retirement.doors()
    if retirement.has_address and has_twin(job.live.node.host, job.old.address) is None:
        note(
            f"{job.old.address} is the address of {job.live} now, and no arping (of iputils) is "
            "there to ask whether a second machine has it"
        )
    check(
        f"nobody answers in the name of {job.old}: at {str(doors) or 'its address'}",
        lambda: retirement.is_silent(looks),
        seen=retirement.answering,
        hint=f"{job.old} still runs, whatever was said. Two Orchestrators must not live.",
    )


def _has(job: Restoring, database: str) -> bool:
    asked = "SELECT datname AS name FROM pg_catalog.pg_database"
    return job.old.accepts_connections() and database in {row["name"] for row in job.old.ask(asked)}
