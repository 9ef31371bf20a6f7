"""The work pool: paused while its worker is drained, and who serves it."""

from __future__ import annotations

import socket
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolUpdate

from deployments.settings import POOL


def pause(state: Path) -> None:
    """Pause the pool, and note that it was us: a person's own pause stays."""
    with get_client(sync_client=True) as client:
        if not client.read_work_pool(POOL).is_paused:
            _paused_by_us(state).touch()
            client.update_work_pool(POOL, WorkPoolUpdate(is_paused=True))


def resume(state: Path) -> None:
    """Let the pool work again where it was us who paused it."""
    if _paused_by_us(state).exists():
        with get_client(sync_client=True) as client:
            client.update_work_pool(POOL, WorkPoolUpdate(is_paused=False))
        _paused_by_us(state).unlink()


def worker_name() -> str:
    """Name the worker of this machine."""
    return f"{POOL} {socket.gethostname()}"


def no_other_worker() -> bool:
    """Tell whether no worker but this machine's, living or just killed, serves the pool."""
    with get_client(sync_client=True) as client:
        workers = client.read_workers_for_work_pool(POOL)
    return not [one for one in workers if one.status == "ONLINE" and one.name != worker_name()]


def _paused_by_us(state: Path) -> Path:
    return state / "pool-paused"
