"""Nights that pass while no worker is there: real runs of the real scheduler, some seconds away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import RRuleSchedule

from deployments.settings import POOL
from tests.prefect.room import until


@contextmanager
def no_worker(client: SyncPrefectClient) -> Iterator[None]:
    """Let no worker take anything, as if it were switched off."""
    client.update_work_pool(POOL, WorkPoolUpdate(is_paused=True))
    try:
        yield
    finally:
        client.update_work_pool(POOL, WorkPoolUpdate(is_paused=False))


def miss_nights(
    client: SyncPrefectClient, deployment: UUID, count: int, *, beside: int = 0
) -> None:
    """Let the scheduler make runs and their times pass; the nights are a second apart.

    There are as many runs `beside` them that people have ordered.

    It is asked for them at once: on a busy machine its own round may come after the first night.
    """
    first = _schedule(client, deployment, [None], 2, f"FREQ=SECONDLY;COUNT={count}")
    wanted = {"start_time": first.isoformat(), "min_runs": count, "max_runs": count}
    # This client asks again where the server says 503: its database was busy.
    client.request("POST", f"/deployments/{deployment}/schedule", json=wanted)  # type: ignore[arg-type]
    until(
        lambda: len(late(client, deployment)) == count + beside,
        40,
        lambda: str(runs_of(client, deployment)),
    )


def fall_due(client: SyncPrefectClient, deployments: Sequence[UUID], *slugs: str) -> None:
    """Let a night of each schedule be due; there are more, so that a slow scheduler meets one.

    With the slug of the registered schedule, they are its nights.
    """
    for deployment in deployments:
        for each in client.read_deployment_schedules(deployment):
            client.delete_deployment_schedule(deployment, each.id)
        _schedule(client, deployment, slugs, 5, "FREQ=SECONDLY;INTERVAL=10;COUNT=20")
    wanted = [(deployment, slug) for deployment in deployments for slug in slugs]
    until(lambda: all(due(client, *each) for each in wanted), 180)


def due(client: SyncPrefectClient, deployment: UUID, slug: str) -> list[FlowRun]:
    """Give the runs of a schedule whose time has come, the first one first."""
    runs = late(client, deployment)
    runs = [run for run in runs if run.created_by and run.created_by.display_value == slug]
    return sorted(runs, key=lambda run: str(run.expected_start_time))


def _schedule(
    client: SyncPrefectClient,
    deployment: UUID,
    slugs: Sequence[str | None],
    seconds: float,
    rule: str,
) -> datetime:
    """Add schedules, and give the moment of their first night."""
    first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
    schedule = RRuleSchedule(rrule=f"DTSTART:{first:%Y%m%dT%H%M%SZ}\nRRULE:{rule}")
    nights = [
        DeploymentScheduleCreate(schedule=schedule, parameters={"dry_run": False}, slug=slug)
        for slug in slugs
    ]
    client.create_deployment_schedules(deployment, nights)
    return first


def late(client: SyncPrefectClient, deployment: UUID) -> list[FlowRun]:
    """Give the runs whose time has come."""
    now, runs = datetime.now(UTC), runs_of(client, deployment)
    return [run for run in runs if run.expected_start_time and run.expected_start_time < now]


def runs_of(client: SyncPrefectClient, deployment: UUID) -> list[FlowRun]:
    """Give all runs of a deployment."""
    return client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
    )
