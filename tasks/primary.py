"""The promotion itself: rehearsed, done, judged by PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from runbook import Need, check, ensure, note
from runbook.actions import Execute
from runbook.approval import ApprovalNeeded, Waiting
from runbook.apps import App
from runbook.errors import CheckFailed, Refused, RunbookError
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.replication.ending import has_replayed, has_replayed_what_it_has, stopped_state
from runbook.replication.handover import Handover
from runbook.replication.members import repmgr_of, repmgr_program
from runbook.replication.server import look
from runbook.replication.survey import survey
from runbook.replication.way_back import is_still_a_standby
from runbook.run import current
from runbook.tools import repmgr
from runbook.watch import log
from tasks import repmgrd, service
from tasks._task import task
from tasks.apps import given_back
from tasks.fencing import silence

_CAUGHT_UP_SECONDS = 30.0
_REPLAY_SECONDS = 3600.0


@task("prove that {job.new} has everything")
def has_everything(job: Handover) -> None:
    """See that the new primary has replayed all there is, or in a failover all it received."""
    if job.old is None:
        return
    if job.mode == "planned":
        ensure(
            f"{job.new} has replayed the shutdown checkpoint of {job.old}",
            holds=lambda: job.promoted or has_replayed_the_end(job),
            by=(),
            within=_CAUGHT_UP_SECONDS,
        )
        return
    ensure(
        f"{job.new} has replayed all that it received",
        holds=lambda: job.promoted or has_replayed_what_it_has(job.new),
        by=(),
        within=_REPLAY_SECONDS,
    )


@task("rehearse the promotion of {job.new}")
def rehearse(job: Handover) -> None:
    """Let repmgr say whether it would promote; it refuses while the old primary answers."""
    command = _promotion(job.new, dry_run=True)
    check(
        f"{job.new}: `{job.new.host.shown(command)}` finds nothing in the way",
        lambda: job.new.host.attempt(command).exit_code == 0,
        unless=job.was_promoted,
        seen=partial(_refusal, job.new, command),
        hint="Remove what repmgr names, and start the runbook again.",
    )


@task("promote {job.new}")
def promote(job: Handover) -> None:
    """See that the new primary accepts writes, on a timeline of its own."""
    new = job.new
    before = 0 if job.promoted else job.survey.state(new).timeline
    ensure(
        f"{new} accepts writes",
        holds=job.is_promoted,
        needs=_needs(job),
        by=[Execute(new.host, _promotion(new))],
        within=60,
    )
    check(
        f"{new} has begun a timeline of its own",
        lambda: look(new).timeline > before,
        seen=lambda: f"timeline {look(new).timeline}, before {before}",
    )


@task("see that {job.new} alone accepts writes")
def alone(job: Handover) -> None:
    """Insist on exactly one writable node, the old primary included."""
    only_writer(job)


def only_writer(job: Handover) -> None:
    """Insist on one writable node; asked again before anything is pointed there."""
    check(
        f"{job.new} alone accepts writes",
        lambda: _writers(job) == (job.new.name,),
        seen=lambda: f"these do: {', '.join(_writers(job)) or 'nobody'}",
        hint="A split brain. Stop that server at once, and keep its data directory: it may hold "
        "what the other lacks. The applications are left as they are; then start again.",
    )


def has_replayed_the_end(job: Handover) -> bool:
    """Tell whether the old primary stopped cleanly and its last record has been replayed."""
    assert job.old is not None
    control = stopped_state(job.old)
    if control is None or control.state != "shut down":
        raise CheckFailed(
            f"{job.old} was not stopped cleanly",
            detail=f"its data directory says: {control.state if control else 'a server runs'}",
            hint=f"See the log of {job.old}. If it cannot be started: mode=failover.",
        )
    return has_replayed(job.new, control)


@contextmanager
def way_back(job: Handover, stopped: Sequence[App]) -> Iterator[None]:
    """Start the old primary and the applications again when a planned handover cannot be done.

    Cancelled, too. Only until `promote` has been sent: after that the one way is forward.
    """
    try:
        yield
    except (Refused, ApprovalNeeded, Waiting):
        raise
    except BaseException as error:
        if current().planning or job.mode == "failover" or job.promoted or job.old is None:
            raise
        _give_up(job, job.old, stopped, error)
        raise


def _give_up(job: Handover, old: Node, stopped: Sequence[App], why: BaseException) -> None:
    """Go the way back, and tell in the error, where it is one of ours, how that ended."""
    try:
        _return(job, old, stopped)
    except RunbookError as worse:
        log.error("the way back failed: %s: %s", worse.message, worse.detail)
        if isinstance(why, RunbookError):
            why.detail += f"\nand the way back failed: {worse.message}: {worse.detail}"
        raise why from worse
    if isinstance(why, RunbookError):
        again = f"{old} and the applications are in service again"
        why.hint = f"{again} (what `compose run` had started is not); nothing is lost. {why.hint}"


def _return(job: Handover, old: Node, stopped: Sequence[App]) -> None:
    note(f"The handover is given up: {old} and the applications go on.")
    if not is_still_a_standby(job.new):
        raise CheckFailed(f"{job.new} is no standby any more: {old} must stay out of service")
    service.start(old)
    for app in stopped:
        given_back(app, within=120)
    repmgrd.unpause(job.living)


def _refusal(node: Node, command: Command) -> str:
    done = node.host.attempt(command)
    return f"exit code {done.exit_code}: {done.stderr.strip()}"


def _promotion(node: Node, *, dry_run: bool = False) -> Command:
    configuration = repmgr_of(node).configuration
    return repmgr.promote(repmgr_program(node), configuration, user=node.os_user, dry_run=dry_run)


def _needs(job: Handover) -> tuple[Need, ...]:
    old = job.old
    if old is None or job.promoted:
        return ()
    quiet = Need(
        f"{old} is out of service",
        lambda: silence(job, old).lasts(1),
        lambda: f"a server answers at {silence(job, old).address}",
        hint="Something has started it again. Nothing was promoted.",
    )
    if job.mode == "failover":
        return (quiet,)
    end = Need(f"{job.new} has replayed all of {old}", lambda: has_replayed_the_end(job))
    return (quiet, end)


def _writers(job: Handover) -> tuple[str, ...]:
    """Name the nodes that accept writes, or, where nobody can log in, that answer at all."""
    cluster, old = job.cluster, job.old
    if old is not None and not job.reachable:
        others = tuple(node for node in cluster.nodes if node.name != old.name)
        cluster = cluster.model_copy(update={"nodes": others})
    found = [node.name for node in survey(cluster).writable]
    if old is not None and not job.reachable and not silence(job, old).lasts(1):
        found.append(f"{old} (it answers at {silence(job, old).address})")
    return tuple(found)
