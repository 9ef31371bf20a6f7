"""The reaper: ends runs whose process is gone, and runs that nobody answered in time.

Prefect leaves a run "Running" for ever when its worker dies with it, and its documented zombie
automation also ends runs that wait for a person. This one looks at the processes themselves.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelled, Crashed

from deployments.carried import active_runs
from deployments.waiting import deadline_of, expire, runs_in, waiting_runs
from flows._audit import copy_for
from flows._carrier import NEVER_STARTED_AFTER, carrier
from flows._codes import forget_codes
from runbook.audit import end_unanswered, ends_waiting
from runbook.marks import RunMark, carries, read_mark, remove_mark
from runbook.watch import log

_LOOK_BACK = timedelta(days=2)

_EXPIRED_BY_PREFECT = "and never resumed."
_UNANSWERED = (
    "Nobody answered in time. What was prepared before the question stays until a next run."
)


@dataclass(frozen=True)
class Reaped:
    """A run that was ended, and why."""

    run: str
    name: str
    outcome: str
    why: str


def reap(state: Path, *, now: datetime | None = None, alone: bool = False) -> tuple[Reaped, ...]:
    """End what is dead or expired, and give what was ended.

    `alone` says that no worker runs on this machine, so that a run which a worker here had taken
    and not yet started is dead at once and not only after two minutes.
    """
    moment = now or datetime.now(UTC)
    with get_client(sync_client=True) as client:
        lost = partial(_reap_lost, client, state=state, now=moment, alone=alone)
        ended = [*_each(active_runs(client), lost)]
        unanswered = partial(_reap_unanswered, client, now=moment)
        ended += _each(_unanswered(client, moment), unanswered)
        cancelled = _recent(client, StateType.CANCELLED, moment)
        ended += _each(cancelled, partial(_clear_up, client, state / "audit"))
    return tuple(ended)


def _each(runs: Iterable[FlowRun], look: Callable[[FlowRun], Reaped | None]) -> Iterator[Reaped]:
    """Look at every run, and give those that were ended; an error about one stops no other."""
    for run in runs:
        try:
            reaped = look(run)
        except httpx.TransportError:
            raise
        except Exception as error:  # noqa: BLE001 - it would stop the reaper, and the start of `up`
            log.warning("run %s was not looked at: %s: %s", run.id, type(error).__name__, error)
            continue
        if reaped is not None:
            yield reaped


def _reap_lost(
    client: SyncPrefectClient, run: FlowRun, state: Path, now: datetime, alone: bool
) -> Reaped | None:
    why = _death(run, state / "runs", now, alone)
    if not why:
        return None
    fresh = client.read_flow_run(run.id)
    if fresh.state is None or fresh.state.id != (run.state.id if run.state else None):
        return None
    cancelling = fresh.state.type == StateType.CANCELLING
    end: State[None] = Cancelled(message=why) if cancelling else Crashed(message=why)
    client.set_flow_run_state(run.id, end, force=cancelling)
    remove_mark(state / "runs", str(run.id))
    forget_codes(client, run.id)
    return Reaped(str(run.id), run.name, str(end.name), why)


def _death(run: FlowRun, marks: Path, now: datetime, alone: bool) -> str:
    """Tell why a run is known to be dead; empty while it may live."""
    mark = _mark_of_this_attempt(run, marks)
    if mark is not None:
        process = mark.process
        if process.is_alive or not process.is_of_this_host:
            return ""
        return f"Its process {process.pid} on {process.host} is gone."
    taken = run.state.timestamp if run.state else now
    if not alone and now - taken < NEVER_STARTED_AFTER:
        return ""
    found = carrier(run)
    if found is None:
        return "A worker took it and never started it."
    host, number = found
    if host != socket.gethostname() or carries(number, str(run.id)):
        return ""
    return f"Its process {number} on {host} is gone."


def _mark_of_this_attempt(run: FlowRun, marks: Path) -> RunMark | None:
    """Give the mark, unless it is of a process before a wait or a retry."""
    mark = read_mark(marks, str(run.id))
    if mark is None or run.state is None or run.state.type == StateType.CANCELLING:
        return mark
    return mark if mark.since >= run.state.timestamp else None


def _reap_unanswered(client: SyncPrefectClient, run: FlowRun, now: datetime) -> Reaped | None:
    """Let a run that nobody answered come to its end: it knows itself what it has prepared.

    One that Prefect has already called failed cannot be resumed, nor one that was killed before its
    question could be answered; they are called cancelled.
    """
    if run.state is None:
        return None
    if not _expired_by_prefect(run):
        until = deadline_of(run)
        if until is None or now < until:
            return None
        why = "Nobody answered in time. It takes back what it has prepared, and ends as cancelled."
        try:
            told = Reaped(str(run.id), run.name, "Resumed", why)
            return told if expire(client, run) else None
        except RuntimeError as error:
            log.warning("run %s cannot be resumed, it is cancelled: %s", run.id, error)
    return _cancelled(client, run)


def _cancelled(client: SyncPrefectClient, run: FlowRun) -> Reaped | None:
    """Call a run cancelled that cannot be resumed, if it is still as it was seen."""
    fresh = client.read_flow_run(run.id)
    if fresh.state is None or fresh.state.id != (run.state.id if run.state else None):
        return None
    client.set_flow_run_state(run.id, Cancelled(message=_UNANSWERED), force=True)
    return Reaped(str(run.id), run.name, "Cancelled", _UNANSWERED)


def _clear_up(client: SyncPrefectClient, audit: Path, run: FlowRun) -> None:
    """Do for a run that was cancelled while it waited what it has had no process for."""
    forget_codes(client, run.id)
    path = audit / f"{run.id}.jsonl"
    when = _cancelled_when(client, run) if ends_waiting(path) else ""
    if not when:
        return
    said = (run.state.message if run.state else "") or ""
    why = f"cancelled in Prefect {when}; by whom, Prefect does not tell. {said}".rstrip()
    ended = end_unanswered(path, said if said == _UNANSWERED else why)
    copy = copy_for(str(run.parameters.get("cluster", ""))) if ended else None
    if copy is not None:
        copy.expect(str(run.id))


def _cancelled_when(client: SyncPrefectClient, run: FlowRun) -> str:
    """Tell when, where nothing took it up after it had asked; empty where something did.

    The worker of another host that does has a record of its own.
    """
    states = sorted(client.read_flow_run_states(run.id), key=lambda state: state.timestamp)
    types = [state.type for state in states]
    if StateType.PAUSED not in types:
        return ""
    since = types[len(types) - types[::-1].index(StateType.PAUSED) :]
    if {StateType.PENDING, StateType.RUNNING} & set(since):
        return ""
    answered = StateType.SCHEDULED in since
    return "after an answer that nothing had taken up yet" if answered else "while it waited"


def _unanswered(client: SyncPrefectClient, now: datetime) -> list[FlowRun]:
    failed = _recent(client, StateType.FAILED, now)
    return waiting_runs(client) + [run for run in failed if _expired_by_prefect(run)]


def _recent(client: SyncPrefectClient, ended: StateType, now: datetime) -> list[FlowRun]:
    runs = runs_in(client, [ended])
    return [run for run in runs if run.state and now - run.state.timestamp < _LOOK_BACK]


def _expired_by_prefect(run: FlowRun) -> bool:
    said = run.state.message if run.state else ""
    return bool(said) and str(said).endswith(_EXPIRED_BY_PREFECT)
