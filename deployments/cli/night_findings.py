"""Do the nights run? A paused pool, or a schedule that is off or missing, tells nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from blocks._saved import saved_names
from blocks.cluster import PostgresCluster
from deployments.cli.finding import Finding
from deployments.register import discover, plots
from deployments.settings import POOL
from flows._missed_nights import NIGHTLY
from runbook.cluster import Cluster
from runbook.errors import SettingsError

_PAGE = 200
_RESUME = f"prefect work-pool resume {POOL}, or in the UI under Work Pools"


def night_findings() -> Iterator[Finding]:
    """Look at the work pool and the schedules of the server at PREFECT_API_URL."""
    try:
        with get_client(sync_client=True) as client:
            yield from _pool(client)
            yield from _schedules(client)
    except ObjectNotFound:
        yield _warning(f"there is no work pool {POOL}", "pg-runbooks up, or pg-runbooks register")
    except (httpx.HTTPError, PrefectHTTPStatusError, ValueError) as error:  # a login page, too
        yield _warning(
            f"the schedules could not be read: {error}",
            "Set PREFECT_API_URL and PREFECT_API_AUTH_STRING so that they lead to the server.",
        )


def _pool(client: SyncPrefectClient) -> Iterator[Finding]:
    if client.read_work_pool(POOL).is_paused:
        yield _warning(f"work pool {POOL} is paused: no run begins, and no night", _RESUME)
    else:
        yield Finding("nights", f"work pool {POOL} is not paused", ok=True)
    for queue in client.read_work_queues(work_pool_name=POOL):
        if queue.is_paused:
            what = f"work queue {queue.name} of pool {POOL} is paused: no run in it begins"
            command = f"prefect work-queue resume {queue.name} --pool {POOL}"
            yield _warning(what, f"{command}, or in the UI under Work Pools")


def _schedules(client: SyncPrefectClient) -> Iterator[Finding]:
    """Look at every night that the settings ask for, and at every schedule that people added."""
    found = list(_deployments(client))
    flows = {each: client.read_flow(each).name for each in {one.flow_id for one in found}}
    known = {f"{flows[one.flow_id]}/{one.name}": one for one in found}
    nights = _nights()
    looked_at = sorted(nights | {name for name, one in known.items() if one.schedules})
    told = [_told(name, known.get(name), name in nights) for name in looked_at]
    yield from (finding for finding in told if finding is not None)
    if not told:
        yield Finding("nights", "no cluster is saved: nothing is scheduled", True, gravity="note")
    elif not any(told):
        yield Finding("nights", f"the schedules of {len(told)} deployments are on", ok=True)


def _nights() -> set[str]:
    """Name the deployments that registration gives a night; who has no usable settings has none."""
    found = dict[str, Cluster]()
    for name in saved_names(PostgresCluster):
        with suppress(SettingsError):
            found[name] = PostgresCluster.named(name).cluster()
    wanted = plots(found, discover().values(), "", lambda name, key: found[name].has(key))
    return {plot.name for plot in wanted if plot.scheduled}


def _told(name: str, one: DeploymentResponse | None, has_nights: bool) -> Finding | None:
    """Tell what is wrong with the schedules of a deployment; None where nothing is."""
    if one is None or not one.schedules:
        what = f"{name} has no schedule: it does not run by itself"
        return _warning(what, "pg-runbooks register")
    active = [each.slug for each in one.schedules if each.active and not one.paused]
    if not active:
        command = f"prefect deployment schedule resume {name} {one.schedules[0].id}, or "
        return _warning(
            f"the schedule of {name} is off: it does not run by itself",
            f"{'' if one.paused else command}its switch in the UI under Deployments",
        )
    if has_nights and NIGHTLY not in active:
        what = f"{name} runs by another schedule than {NIGHTLY}, which is off or deleted"
        return Finding("nights", what, True, hint="Nothing, where that is wanted.", gravity="note")
    return None


def _deployments(client: SyncPrefectClient) -> Iterator[DeploymentResponse]:
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    offset = 0
    while found := client.read_deployments(work_pool_filter=pool, limit=_PAGE, offset=offset):
        yield from found
        offset += len(found)


def _warning(what: str, hint: str) -> Finding:
    return Finding("nights", what, ok=True, hint=hint, gravity="warning")
