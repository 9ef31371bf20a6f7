"""Runs that this machine carries: told by their marks, and by a server where one answers."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, StateType

from deployments.waiting import runs_in
from flows._carrier import carrier
from runbook.marks import carries, living


def carried(state: Path, *, certain: bool = True) -> dict[str, str]:
    """Name, by id, the runs of this machine, which left their marks; a server is not needed.

    With one, also those that have still to tell it of their end, and without `certain` those
    that a worker has taken and not started yet.
    """
    marks = living(state / "runs")
    found = {mark.run: f"{mark.runbook} {mark.cluster}" for mark in marks}
    with suppress(httpx.HTTPError):
        known = [run for run in _runs_here() if run.infrastructure_pid or not certain]
        found.update((str(run.id), run.name) for run in known)
    return found


def active_runs(client: SyncPrefectClient) -> list[FlowRun]:
    """Give the runs that a worker has taken and that have not ended."""
    return runs_in(client, [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING])


def _runs_here() -> list[FlowRun]:
    """Give the active runs but those that a worker on another host carries."""
    with get_client(sync_client=True) as client:
        runs = active_runs(client)
    return [run for run in runs if _is_carried_here(run)]


def _is_carried_here(run: FlowRun) -> bool:
    """Tell whether a process of this host carries a run, or may be about to."""
    found = carrier(run)
    if found is None:
        return True
    host, number = found
    return host in {"", socket.gethostname()} and carries(number, str(run.id))
