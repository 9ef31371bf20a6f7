"""Nights of a platform: what its run has backed up is not backed up again by the part's own night.

Proof is what that run has said of each part, on itself, when the part was whole: neither settings,
nor that it ended well, nor that it has a schedule. Without the proof the part's own night works.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound

from blocks.load import load_cluster
from flows._carrier import NEVER_STARTED_AFTER, carrier
from flows._missed_nights import NIGHTLY
from flows._watch import told
from runbook.errors import SettingsError
from runbook.marks import carries, read_mark
from runbook.places import state_directory

_NIGHT = timedelta(hours=20)
_LONGEST = timedelta(hours=48)
"""A run that began before may have been started again, and have done its part just now."""
_AT_WORK = (StateType.PENDING, StateType.RUNNING)


def keep_outcome(outcome: str, runbook: str, cluster: str) -> None:
    """Say on this run that a part of it is whole, or failed; outside Prefect nobody has nights."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    run = context.flow_run.id
    labels: dict[str, bool | int | float | str] = {_label(outcome, runbook, cluster): now}

    def update() -> None:
        with get_client(sync_client=True) as client:
            client.update_flow_run_labels(run, labels)

    told(update)


def done_in_platform(run: FlowRun, runbook: str, cluster: str, platform: str) -> str:
    """Tell which run of the runbook `platform` has done this night's part, or is at it.

    Empty where none has, and for every run but one of the registered night itself.
    """
    wanted = run.expected_start_time
    by = run.created_by.display_value if run.created_by else ""
    if not run.auto_scheduled or run.run_count > 1 or by != NIGHTLY or wanted is None:
        return ""
    for other in _runs_of(platform, wanted - _LONGEST):
        whole = str(other.labels.get(_label("whole", runbook, cluster), ""))
        if whole and datetime.fromisoformat(whole) >= wanted - _NIGHT:
            return f"Run {other.name} ({other.id}) has backed this up: whole at {whole}."
        if _label("failed", runbook, cluster) in other.labels:
            continue
        if _at_work(other, wanted) and _names(other, cluster) and _may_live(other):
            return f"Run {other.name} ({other.id}) is backing this up."
    return ""


def _label(outcome: str, runbook: str, cluster: str) -> str:
    return f"pg-runbooks.{outcome}.{runbook}.{cluster}"


def _at_work(run: FlowRun, wanted: datetime) -> bool:
    """Tell whether it works now, and since this night: one that hangs for days does not count."""
    began = run.start_time or run.expected_start_time
    acts = run.parameters.get("dry_run", True) is False
    return acts and run.state_type in _AT_WORK and bool(began and began >= wanted - _NIGHT)


def _may_live(run: FlowRun) -> bool:
    """Tell whether a run that is called at work can be: one that died with its host stays so."""
    mark = read_mark(state_directory() / "runs", str(run.id))
    if mark is not None and mark.process.is_alive:
        return True
    found = carrier(run)
    if found is None:
        taken = run.state.timestamp if run.state else None
        return taken is not None and datetime.now(UTC) - taken < NEVER_STARTED_AFTER
    host, number = found
    if host in ("", socket.gethostname()):
        return carries(number, str(run.id))
    pool, worker = (run.labels.get(f"prefect.{each}.name") for each in ("work-pool", "worker"))
    with suppress(ObjectNotFound), get_client(sync_client=True) as client:
        workers = client.read_workers_for_work_pool(str(pool)) if pool else []
        return any(each.name == worker and each.status == "ONLINE" for each in workers)
    return False


def _names(run: FlowRun, cluster: str) -> bool:
    head = str(run.parameters.get("cluster", ""))
    try:
        settings = load_cluster(head).platform
    except SettingsError:
        return False
    return cluster == head or (settings is not None and cluster in settings.clusters)


def _runs_of(runbook: str, since: datetime) -> list[FlowRun]:
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[runbook])),
            flow_run_filter=FlowRunFilter(
                expected_start_time=FlowRunFilterExpectedStartTime(
                    after_=since, before_=datetime.now(UTC)
                )
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=200,
        )
