"""The Prefect settings that this product is put to work with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from runbook.places import state_directory

POOL = "pg-runbooks"

_EVENTS_KEPT = "P400D"


@dataclass(frozen=True)
class ControlRoom:
    """Where the server listens and keeps its things.

    `database` empty means SQLite in the state directory, which is for demos and single desks.
    `elsewhere` is the address of the API where the server runs on another machine.
    """

    host: str = "127.0.0.1"
    port: int = 4200
    state: Path = Path()
    database: str = ""
    elsewhere: str = ""

    @property
    def api(self) -> str:
        """Give the address of the API."""
        return self.elsewhere or f"http://{self.host}:{self.port}/api"

    @property
    def ui(self) -> str:
        """Give the address that people open."""
        return f"http://{self.host}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Give the settings of server, worker and runs; what is set outside wins where it may."""
        fixed = {
            "PREFECT_API_URL": self.api,
            "PREFECT_HOME": str(self.state / "prefect"),
            "PG_RUNBOOKS_STATE": str(self.state),
            "PREFECT_SERVER_API_HOST": self.host,
            "PREFECT_SERVER_API_PORT": str(self.port),
        }
        if self.database:
            fixed["PREFECT_API_DATABASE_CONNECTION_URL"] = self.database
        return {**RECOMMENDED, **os.environ, **fixed}


# Why each of them: deployments/running-for-good.md, "Settings".
RECOMMENDED = {
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": _EVENTS_KEPT,
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "runbook",
    "PREFECT_WORKER_QUERY_SECONDS": "2",
}


def control_room(host: str = "", port: int = 0) -> ControlRoom:
    """Give the control room of this machine, from arguments, environment and defaults."""
    return ControlRoom(
        host=host or os.environ.get("PREFECT_SERVER_API_HOST", "127.0.0.1"),
        port=port or int(os.environ.get("PREFECT_SERVER_API_PORT", "4200")),
        state=state_directory(),
        database=os.environ.get("PREFECT_API_DATABASE_CONNECTION_URL", ""),
    )
