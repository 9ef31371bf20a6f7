"""Prefect's worker, which stays while its server is in trouble: it carries runs.

Prefect's own ends itself at a status below 500 (another password, a proxy's 403) and after twelve
looks in vain, and an error about one run ends its whole group; either sends TERM to every run that
it carries, a restore in its outage among them. Nothing that a server says is a reason for that.
Ref.: prefect.utilities.services.critical_service_loop, BaseWorker.start and _submit_run, 3.8.8.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable
from uuid import UUID

import anyio
import httpx
from prefect._internal import observers
from prefect.cli import app
from prefect.client.schemas.objects import FlowRun
from prefect.logging.loggers import get_logger
from prefect.workers import base
from prefect.workers.process import ProcessWorker

LONGEST_PAUSE = 60.0

log = get_logger("pg-runbooks.worker")


async def look_for_ever(
    workload: Callable[[], Awaitable[object]],
    interval: float,
    *,
    run_once: bool = False,
    **_others: object,
) -> None:
    """Call a workload every `interval` seconds, and less and less often while it fails.

    It stands in the place of Prefect's critical_service_loop and ends only by being cancelled.
    """
    pause = interval
    while True:
        try:
            await workload()
            pause = interval
        except Exception as error:  # noqa: BLE001 - whatever it is, the runs go on
            pause = max(interval, min(pause * 2, LONGEST_PAUSE))
            _tell("the server could not be asked", error, f"asked again in {pause:.0f} s")
        if run_once:
            return
        await anyio.sleep(pause)


with warnings.catch_warnings():
    # It takes the place of Prefect's own under the same name, which Prefect warns of.
    warnings.simplefilter("ignore")

    class SteadyWorker(ProcessWorker):
        """Carries runs as processes; an error about one run is told and stops no other."""

        type = "process"

        async def _submit_run(self, flow_run: FlowRun) -> None:
            try:
                await super()._submit_run(flow_run)
            except Exception as error:  # noqa: BLE001 - it would end the other runs
                _tell(f"run {flow_run.id} was not started", error, "it is looked for again")
                self._submitting_flow_run_ids.discard(flow_run.id)
                self._release_limit_slot(flow_run.id)
                if self._cancelling_observer is not None:
                    self._cancelling_observer.remove_in_flight_flow_run_id(flow_run.id)

        async def _cancel_run(self, flow_run_id: UUID) -> None:
            try:
                await super()._cancel_run(flow_run_id)
            except Exception as error:  # noqa: BLE001 - it would end the other runs
                _tell(f"run {flow_run_id} was not cancelled", error, "cancel it again")


def main() -> None:
    """Hand over to Prefect's command line, with what is ours in place."""
    # The observers look for runs to cancel, and give up after three looks in vain.
    for module in (base, observers):
        vars(module)["critical_service_loop"] = look_for_ever
    app()


def _tell(what: str, error: Exception, then: str) -> None:
    known = isinstance(error, httpx.HTTPError)
    kind = type(error).__name__
    log.warning("%s (%s: %s); %s", what, kind, error, then, exc_info=None if known else error)


if __name__ == "__main__":
    main()
