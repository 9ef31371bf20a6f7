"""Which process carries a run, as its worker has told Prefect: where it is, and its number.

Two questions begin here, and have different answers where nobody can know: the reaper ends only a
run that is known to be dead, and a night is left out only for a run that is known to live.
"""

from __future__ import annotations

from datetime import timedelta

from prefect.client.schemas.objects import FlowRun

NEVER_STARTED_AFTER = timedelta(minutes=2)
"""A run that a worker took so long ago, and that has no process, is not started any more."""


def carrier(run: FlowRun) -> tuple[str, int] | None:
    """Give the host and the process id; None while the worker has not started it."""
    host, _, number = (run.infrastructure_pid or "").rpartition(":")
    return (host, int(number)) if number.isdigit() else None
