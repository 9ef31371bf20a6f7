"""Missed nights: the scheduler replays them all at once, and one run is enough for all of them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort

from runbook.marks import carries

PLANNED = "Planned"
SKIPPED = "Skipped"
NIGHTLY = "nightly"
"""The schedule that registration makes; people add their own under other names."""

_NIGHT = timedelta(hours=20)
"""One that is called running for longer has lost its host; it takes no night away."""


def made_up_for(run: FlowRun) -> FlowRun | None:
    """Find the run that already did what the schedule wanted of this one.

    That is a completed run of the same deployment with the same parameters that began after this
    one's scheduled time. The first late run works and the later ones find it.
    """
    wanted = run.expected_start_time
    for other in _runs_of(run, StateType.COMPLETED):
        began = other.start_time
        if other.id == run.id or began is None or wanted is None or began < wanted:
            continue
        if other.state_name not in (PLANNED, SKIPPED) and other.parameters == run.parameters:
            return other
    return None


def at_work_for(run: FlowRun, *, locked: bool = False) -> FlowRun | None:
    """Find the run that is at this moment doing what the schedule wanted of this one.

    Of the same deployment, whoever ordered it. What is called running may have died with its
    host: one that counts has its process here and began first, so that of many one works; or this
    run was `locked` out, which proves that another lives.
    """
    now, known = datetime.now(UTC), _runs_of(run, StateType.RUNNING)
    at_work = [each for each in known if each.start_time and now - each.start_time < _NIGHT]
    own = [_began(each) for each in at_work if each.id == run.id]
    for other in at_work:
        if other.id == run.id or _asked(other) != _asked(run):
            continue
        if locked or (own and _began(other) < own[0] and _lives_here(other)):
            return other
    return None


def _began(run: FlowRun) -> tuple[str, str]:
    """Give an order of runs that every one of them sees alike."""
    return f"{run.start_time:%Y-%m-%d %H:%M:%S.%f}", str(run.id)


def _asked(run: FlowRun) -> Mapping[str, object]:
    """Give what was asked for; a form also sends what was left empty, and people say why."""
    return {name: each for name, each in run.parameters.items() if each != "" and name != "reason"}


def _lives_here(run: FlowRun) -> bool:
    host, _, number = (run.infrastructure_pid or "").rpartition(":")
    here = host in ("", socket.gethostname()) and number.isdigit()
    return here and carries(int(number), str(run.id))


def _runs_of(run: FlowRun, state: StateType) -> list[FlowRun]:
    """Give the runs of its deployment; none for a run that a person wants, or wants again."""
    if not run.auto_scheduled or run.run_count > 1 or run.deployment_id is None:
        return []
    wanted = FlowRunFilterState(type=FlowRunFilterStateType(any_=[state]))
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[run.deployment_id])),
            flow_run_filter=FlowRunFilter(state=wanted),
            sort=FlowRunSort.START_TIME_DESC,
            limit=50,
        )
