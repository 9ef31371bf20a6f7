"""Orders runs of deployments and follows them, for the command line."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, Log
from prefect.client.schemas.sorting import LogSort
from prefect.exceptions import ObjectNotFound

from runbook.errors import SettingsError
from runbook.run import Parameter
from runbook.user import operating_system_user

_LOOK_SECONDS = 1.0
_LOGS_AT_ONCE = 200
_LOGS_LATE_SECONDS = 4.0
_LAST_LINE = "Finished in state"


@dataclass(frozen=True)
class Told:
    """One log line of a run."""

    at: datetime
    level: int
    text: str


@dataclass(frozen=True)
class Standing:
    """Where a run stands: name and type of its state, and the state's message.

    `is_told` where that message stood in the log lines that were told of the run.
    """

    run: UUID
    name: str
    state: str
    message: str
    final: bool
    waiting: bool
    completed: bool
    is_told: bool = False


def requested_by() -> str:
    """Name who orders from this command line: operating system user and host."""
    return f"{operating_system_user()}@{socket.gethostname()}"


def order(runbook: str, cluster: str, parameters: Mapping[str, Parameter]) -> UUID:
    """Create a run of the deployment of a runbook on a cluster, and give its id."""
    name = f"{runbook}/{cluster}"
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(name)
        except ObjectNotFound:
            raise SettingsError(
                f"there is no deployment {name}",
                hint="Save the cluster, with the settings that the runbook needs, by `pg-runbooks "
                "apply`, then `pg-runbooks register`.",
            ) from None
        run = client.create_flow_run_from_deployment(
            deployment.id,
            parameters={"cluster": cluster, **parameters},
            labels={"pg-runbooks.requested-by": requested_by()},
        )
    return run.id


def standing(run: UUID) -> Standing:
    """Tell where a run stands; SettingsError when the server does not know it."""
    with get_client(sync_client=True) as client:
        return _standing(_read(client, run))


def follow(
    run: UUID, tell: Callable[[Told], None], *, until_waiting: bool = True, timeout: float = 0.0
) -> Standing:
    """Tell every log line of a run until it ends, or until it waits for a person.

    `timeout` in seconds, 0 for as long as it takes; the standing at the end is given.
    """
    began = time.monotonic()
    # One client for all looks: having been connected once, it outlives a restart of the server.
    with get_client(sync_client=True) as client:
        lines = _Lines(client, run, tell)
        while True:
            now = _standing(_read(client, run))
            lines.tell_new()
            late = bool(timeout) and time.monotonic() - began > timeout
            if now.final or late or (now.waiting and until_waiting):
                lines.tell_last()
                return now
            time.sleep(_LOOK_SECONDS)


def ui_address(run: UUID) -> str:
    """Give the page of a run in the UI; empty where the server has none."""
    from prefect.settings import PREFECT_UI_URL

    base = PREFECT_UI_URL.value()
    return f"{str(base).rstrip('/')}/runs/flow-run/{run}" if base else ""


def _read(client: SyncPrefectClient, run: UUID) -> FlowRun:
    try:
        return client.read_flow_run(run)
    except ObjectNotFound:
        raise SettingsError(f"the server knows no run {run}") from None


def _standing(run: FlowRun) -> Standing:
    state = run.state
    if state is None:
        return Standing(run.id, run.name, "", "", final=False, waiting=False, completed=False)
    return Standing(
        run=run.id,
        name=run.name,
        state=str(state.name),
        message=state.message or "",
        final=state.is_final(),
        waiting=state.is_paused(),
        completed=state.is_completed(),
    )


class _Lines:
    """The log of a run, told line by line, each once."""

    def __init__(self, client: SyncPrefectClient, run: UUID, tell: Callable[[Told], None]) -> None:
        self._client = client
        self._wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run]))
        self._tell = tell
        self._told: set[UUID] = set()
        self._last = ""

    def tell_new(self) -> None:
        """Tell what has come since the last time.

        The server gives them by the time of their writing, and each process of a run sends its own
        seconds later: so a new one may stand before those that were told.
        """
        offset = max(0, len(self._told) - _LOGS_AT_ONCE)
        while True:
            lines: list[Log] = self._client.read_logs(
                self._wanted,
                limit=_LOGS_AT_ONCE,
                offset=offset,
                sort=LogSort.TIMESTAMP_ASC,
            )
            for line in lines:
                if line.id in self._told:
                    continue
                self._told.add(line.id)
                self._tell(Told(line.timestamp, line.level, line.message))
                self._last = line.message
            offset += len(lines)
            if len(lines) < _LOGS_AT_ONCE:
                return

    def tell_last(self) -> None:
        """Tell the rest: a run's log reaches the server some two seconds after its state does."""
        until = time.monotonic() + _LOGS_LATE_SECONDS
        while not self._last.startswith(_LAST_LINE) and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS / 4)
            self.tell_new()
