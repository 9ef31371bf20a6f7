"""Missed nights: the scheduler replays them all at once, and one run is enough for all of them."""

from __future__ import annotations

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

PLANNED = "Planned"
SKIPPED = "Skipped"
NIGHTLY = "nightly"
"""The schedule that registration makes; people add their own under other names."""


def made_up_for(run: FlowRun) -> FlowRun | None:
    """Find the run that already did what the schedule wanted of this one.

    That is a completed run of the same deployment with the same parameters that began after this
    one's scheduled time. The first late run works and the later ones find it; were it the other
    way round, the limit of one run per deployment could cancel the last one that still works.
    """
    if not run.auto_scheduled or run.run_count > 1 or run.deployment_id is None:
        return None
    wanted = run.expected_start_time
    for other in _completed(run):
        began = other.start_time
        if other.id == run.id or began is None or wanted is None or began < wanted:
            continue
        if other.state_name not in (PLANNED, SKIPPED) and other.parameters == run.parameters:
            return other
    return None


def _completed(run: FlowRun) -> list[FlowRun]:
    assert run.deployment_id is not None
    completed = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.COMPLETED]))
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[run.deployment_id])),
            flow_run_filter=FlowRunFilter(state=completed),
            sort=FlowRunSort.START_TIME_DESC,
            limit=50,
        )
