"""Taking the old primary out of service, and proving that it stays there."""

from __future__ import annotations

import time

from runbook import check, ensure, fact, note
from runbook.actions import Execute
from runbook.errors import CheckFailed
from runbook.plan import Outcome
from runbook.postgres import Node
from runbook.postgres.fencing import Fencing
from runbook.replication.fence import Silence, can_be_held, ending, is_held
from runbook.replication.handover import Handover
from runbook.replication.server import look
from runbook.run import current
from tasks import service
from tasks._task import task

# A supervisor that revives a server takes a moment to do it; a held service needs no watching.
_REVIVAL_SECONDS = 1.0
_LOOKS_WITHOUT_LOGIN = 3


@task("check that the old primary can be taken out of service")
def possible(job: Handover, statement: str) -> None:
    """Insist on a way to fence; and where a statement is the only one, that it is true now."""
    old = job.old
    if old is None or job.mode == "planned" or job.promoted or job.reachable or old.fencing:
        return
    if not statement:
        raise CheckFailed(
            f"{old} cannot be fenced: nobody can log in to {old.host}",
            detail="if it still runs, or comes back, two servers accept writes",
            hint=f"Set fencing of node {old} in the inventory; or see that it is off and say so: "
            'old_primary_is_off="<who saw it, when, and how>".',
        )
    _is_silent(job, old, looks=1)


@task("take the old primary out of service")
def take_out(job: Handover, statement: str) -> float | None:
    """Stop the old primary in good order, or fence it; then prove that nobody can reach it.

    Gives the moment, by the monotonic clock, where this run has just stopped it.
    """
    if job.old is None:
        note("The primary before this one has been replaced long ago: there is nothing to stop.")
        return None
    if job.mode == "planned":
        outcome = _stop_in_good_order(job, job.old)
    else:
        outcome = _fence(job, job.old, statement)
    stopped = time.monotonic() if outcome == "done" else None
    _is_silent(job, job.old, looks=1 if job.reachable else _LOOKS_WITHOUT_LOGIN)
    return stopped


@task("see that nothing starts the old primary again")
def stays_out(job: Handover, stopped: float | None) -> None:
    """Insist that a supervisor had its chance to revive the server, and did not."""
    old = job.old
    if old is None or not job.reachable:
        return
    check(
        f"nothing starts {old} again",
        lambda: is_held(old) or old.stays_stopped(_left_to_watch(stopped)),
        unless=job.was_promoted,
        seen=lambda: f"a server works in {old.directory()} again",
        hint="Stop the supervisor that does it, or name it as the node's service; then start "
        "the runbook again.",
    )


def _left_to_watch(stopped: float | None) -> float:
    if stopped is None:
        return 0.0
    return max(0.0, _REVIVAL_SECONDS - (time.monotonic() - stopped))


def silence(job: Handover, old: Node) -> Silence:
    """Give the two-sided question whether the old primary answers where others look for it."""
    return Silence(job.row(old).address, job.new)


def _stop_in_good_order(job: Handover, old: Node) -> Outcome:
    check(
        f"{job.new} still receives and replays",
        lambda: _receives(job.new),
        unless=lambda: job.begun or job.promoted,
        seen=lambda: str(look(job.new)),
        hint=f"See the log of {job.new}; or hand over to another standby.",
    )
    return service.stop(old, unless=job.was_promoted)


def _fence(job: Handover, old: Node, statement: str) -> Outcome:
    if statement:
        fact("STATEMENT", f"a person says that {old} is off: {statement}")
        current().record("statement", about=str(old), text=statement)
    if job.reachable:
        return _by_login(job, old)
    if old.fencing is not None:
        return _by_command(job, old, old.fencing)
    note(f"{old} cannot be fenced from here: the statement stands for it, and is on record.")
    return "note"


def _by_login(job: Handover, old: Node) -> Outcome:
    return ensure(
        f"no server runs on {old}, and none will be started",
        holds=lambda: job.promoted or _is_down(old),
        by=lambda: ending(old),
        within=30,
    )


def _by_command(job: Handover, old: Node, fencing: Fencing) -> Outcome:
    return ensure(
        f"the machine of {old} is out of service",
        holds=lambda: job.promoted or fencing.host.run(fencing.is_out()).exit_code == 0,
        by=[Execute(fencing.host, fencing.take_out())],
        within=120,
    )


def _is_silent(job: Handover, old: Node, *, looks: int) -> None:
    quiet = silence(job, old)
    check(
        f"nobody answers at {quiet.address}, asked from the worker and from {job.new}",
        lambda: quiet.lasts(looks),
        unless=job.was_promoted,
        seen=lambda: (
            f"worker: {_heard(quiet.from_worker())}; {job.new}: {_heard(quiet.from_witness())}"
        ),
        hint=f"{old} still runs somewhere, a supervisor has started it again, or another server "
        "has its address. Do not promote.",
    )


def _receives(node: Node) -> bool:
    state = look(node)
    return state.streams and not state.replay_paused


def _is_down(old: Node) -> bool:
    return old.is_stopped() and (not can_be_held(old) or is_held(old))


def _heard(silent: bool) -> str:
    return "no answer" if silent else "an answer"
