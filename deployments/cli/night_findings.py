"""Do the nights run? A paused pool, or a schedule that is off, says nothing by itself."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from deployments.cli.finding import Finding
from deployments.settings import POOL

_PAGE = 200
_RESUME = f"prefect work-pool resume {POOL}, or in the UI under Work Pools"


def night_findings() -> Iterator[Finding]:
    """Look at the work pool and the schedules of the server at PREFECT_API_URL."""
    try:
        with get_client(sync_client=True) as client:
            yield _pool(client)
            yield from _schedules(client)
    except ObjectNotFound:
        yield _warning(f"there is no work pool {POOL}", "pg-runbooks up, or pg-runbooks register")
    except (httpx.HTTPError, PrefectHTTPStatusError, ValueError) as error:  # a login page, too
        yield _warning(
            f"the schedules could not be read: {error}",
            "Set PREFECT_API_URL and PREFECT_API_AUTH_STRING so that they lead to the server.",
        )


def _pool(client: SyncPrefectClient) -> Finding:
    if client.read_work_pool(POOL).is_paused:
        return _warning(f"work pool {POOL} is paused: no run begins, and no night", _RESUME)
    return Finding("nights", f"work pool {POOL} is not paused", ok=True)


def _schedules(client: SyncPrefectClient) -> Iterator[Finding]:
    scheduled = [one for one in _deployments(client) if one.schedules]
    off = [one for one in scheduled if one.paused or not any(s.active for s in one.schedules)]
    for one in off:
        name = f"{client.read_flow(one.flow_id).name}/{one.name}"
        command = f"prefect deployment schedule resume {name} {one.schedules[0].id}, or "
        yield _warning(
            f"the schedule of {name} is off: it does not run by itself",
            f"{'' if one.paused else command}its switch in the UI under Deployments",
        )
    if scheduled and not off:
        yield Finding("nights", f"the schedules of {len(scheduled)} deployments are on", ok=True)


def _deployments(client: SyncPrefectClient) -> Iterator[DeploymentResponse]:
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    offset = 0
    while found := client.read_deployments(work_pool_filter=pool, limit=_PAGE, offset=offset):
        yield from found
        offset += len(found)


def _warning(what: str, hint: str) -> Finding:
    return Finding("nights", what, ok=True, hint=hint, gravity="warning")
