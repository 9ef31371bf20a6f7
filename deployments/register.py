"""Registers blocks, work pool and one deployment for each runbook and cluster."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    WorkPoolCreate,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from prefect.utilities.callables import parameter_schema

from blocks._saved import saved_names
from blocks.cluster import PostgresCluster
from blocks.load import usable_clusters
from blocks.store import BackupStore
from deployments.settings import POOL
from flows._missed_nights import NIGHTLY
from flows._procedure import PROCEDURES, Procedure
from runbook.errors import RunbookError

Verb = Literal["created", "updated", "unchanged", "left as they are"]


@dataclass(frozen=True)
class Plot:
    """A deployment as it should be: one runbook on one cluster.

    One that is not `offered` needs settings that the cluster has not: it is not made anew.
    """

    runbook: str
    cluster: str
    entrypoint: str
    description: str
    scheduled: bool
    timezone: str
    hour: int = 2
    offered: bool = True

    @property
    def name(self) -> str:
        """Give the name that people type and that URLs have."""
        return f"{self.runbook}/{self.cluster}"

    @property
    def tags(self) -> list[str]:
        """Give the tags by which the list of runs is filtered."""
        return [POOL, self.runbook, f"cluster {self.cluster}"]

    @property
    def cron(self) -> str:
        """Give the time of its nights; two that need the cluster for themselves have two."""
        return f"0 {self.hour} * * *"

    @property
    def version(self) -> str:
        """Give a digest of all this, so that what has not changed is left alone."""
        values = [self.name, self.entrypoint, self.description, self.scheduled, self.timezone]
        schema = parameter_schema(flow_of(self.entrypoint)).model_dump_for_openapi()
        text = json.dumps([*values, self.cron, schema], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Registered:
    """What became of one deployment; of all of a cluster whose settings cannot be used: why."""

    name: str
    verb: Verb
    error: RunbookError | None = None

    def __str__(self) -> str:
        if self.error is None:
            return f"deployment {self.name}: {self.verb}"
        return f"the deployments of cluster {self.name} are {self.verb}:\n{self.error}"


def discover(packages: Iterable[str] = ("flows",)) -> dict[str, Procedure]:
    """Import every module of the given packages and give the procedures found there."""
    wanted = tuple(packages)
    for package in wanted:
        module = importlib.import_module(package)
        for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"{package}."):
            importlib.import_module(found.name)
    return {
        name: made
        for name, made in PROCEDURES.items()
        if any(f"{made.body.__module__}.".startswith(f"{package}.") for package in wanted)
    }


def _nothing_more(cluster: str, setting: str) -> bool:  # noqa: ARG001 - stands for one that asks
    return False


def plots(
    clusters: Iterable[str],
    procedures: Iterable[Procedure],
    timezone: str,
    has: Callable[[str, str], bool] = _nothing_more,
) -> list[Plot]:
    """Give the deployment of every procedure on every cluster.

    `has` tells whether a cluster has a setting: what needs it is not offered and has no nights
    where it is missing.
    """
    return [
        Plot(
            runbook=procedure.name,
            cluster=cluster,
            entrypoint=f"{procedure.body.__module__}:{procedure.body.__name__}",
            description=procedure.description,
            scheduled=procedure.scheduled
            and (not procedure.needs or has(cluster, procedure.needs)),
            timezone=timezone,
            hour=procedure.hour,
            offered=not procedure.needs or has(cluster, procedure.needs.partition(".")[0]),
        )
        for cluster in sorted(clusters)
        for procedure in sorted(procedures, key=lambda procedure: procedure.name)
    ]


def register(
    timezone: str = "", packages: Iterable[str] = ("flows",), clusters: Iterable[str] = ()
) -> tuple[Registered, ...]:
    """Make the server know block types, pool and deployments; the same again changes nothing.

    `clusters` are the names to deploy for; none means all saved ones. What was deployed stays when
    the settings that it needs are gone, without its nights: its runs lead there. A cluster whose
    settings cannot be used is told with the error, and stops no other.
    A deployment that has not changed is not touched: writing it would drop its waiting nights and
    switch a schedule on that a person has switched off.
    """
    PostgresCluster.register_type_and_schema(_sync=True)  # type: ignore[call-arg]
    BackupStore.register_type_and_schema(_sync=True)  # type: ignore[call-arg]
    procedures = discover(packages)
    with get_client(sync_client=True) as client:
        _ensure_pool(client)
        found, unusable = usable_clusters(tuple(clusters) or saved_names(PostgresCluster))
        known = {cluster.name: cluster for cluster in found}
        zone = timezone or local_timezone()
        wanted = plots(known, procedures.values(), zone, lambda name, key: known[name].has(key))
        made = (_ensure_deployment(client, plot) for plot in wanted)
        left = (Registered(name, "left as they are", why) for name, why in unusable.items())
        return (*(one for one in made if one is not None), *left)


def local_timezone() -> str:
    """Name the time zone of this machine; UTC where it has no name."""
    named = os.environ.get("PG_RUNBOOKS_TIMEZONE") or os.environ.get("TZ", "").lstrip(":")
    if named and not named.startswith("/"):
        return named
    target = str(Path("/etc/localtime").resolve())
    return target.partition("/zoneinfo/")[2] or "UTC"


def _ensure_pool(client: SyncPrefectClient) -> None:
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        client.create_work_pool(
            WorkPoolCreate(
                name=POOL, type="process", description="Runs of PostgreSQL runbooks, as processes."
            )
        )


def _ensure_deployment(client: SyncPrefectClient, plot: Plot) -> Registered | None:
    existing = _existing(client, plot.name)
    if existing is None and not plot.offered:
        return None
    if existing is not None and _is_as_wanted(existing, plot):
        return Registered(plot.name, "unchanged")
    paused = existing.paused if existing else False
    flow = flow_of(plot.entrypoint)
    client.create_deployment(
        flow_id=client.create_flow_from_name(plot.runbook),
        name=plot.cluster,
        version=plot.version,
        entrypoint=plot.entrypoint,
        description=plot.description,
        work_pool_name=POOL,
        parameters={"cluster": plot.cluster},
        parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
        enforce_parameter_schema=True,
        tags=plot.tags,
        schedules=_schedules(plot, existing),
        concurrency_limit=None,
        paused=paused,
        pull_steps=[],
    )
    return Registered(plot.name, "updated" if existing else "created")


def _existing(client: SyncPrefectClient, name: str) -> DeploymentResponse | None:
    try:
        return client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


def _is_as_wanted(existing: DeploymentResponse, plot: Plot) -> bool:
    """Tell whether it is left alone; one whose schedules were all deleted has its night anew."""
    has_nights = bool(existing.schedules) or not plot.scheduled
    return existing.version == plot.version and has_nights and not _is_limited(existing)


def _is_limited(existing: DeploymentResponse) -> bool:
    """Tell whether its runs would hold a lease: whoever loses that is ended, wherever it stands."""
    return existing.global_concurrency_limit is not None


def _schedules(plot: Plot, existing: DeploymentResponse | None) -> list[DeploymentScheduleCreate]:
    """Give the nightly schedule, and all others that people added; a switch stays as it is."""
    kept = existing.schedules if existing else []
    others = [
        DeploymentScheduleCreate(
            schedule=one.schedule, active=one.active, parameters=one.parameters, slug=one.slug
        )
        for one in kept
        if one.slug != NIGHTLY
    ]
    if not plot.scheduled:
        return others
    nightly = DeploymentScheduleCreate(
        schedule=CronSchedule(cron=plot.cron, timezone=plot.timezone),
        active=all(one.active for one in kept if one.slug == NIGHTLY),
        parameters={"dry_run": False},
        slug=NIGHTLY,
    )
    return [nightly, *others]


def flow_of(entrypoint: str) -> Flow[..., object]:
    """Give the flow of an entrypoint, module:name."""
    module, _, name = entrypoint.partition(":")
    flow = getattr(importlib.import_module(module), name)
    assert isinstance(flow, Flow)
    return flow
