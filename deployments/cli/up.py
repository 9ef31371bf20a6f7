"""The control room: server, registration and worker."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from deployments.cli.server import reach_server

Timezone = Annotated[
    str, typer.Option(help="Time zone of the nightly schedules; empty: this machine's.")
]

_HOST = "Address that the server listens on; 127.0.0.1 where PREFECT_SERVER_API_HOST does not say."
_PORT = "Port that the server listens on; 4200 where PREFECT_SERVER_API_PORT does not say."


def up(
    *,
    host: Annotated[str, typer.Option(help=_HOST, show_default=False)] = "",
    port: Annotated[int, typer.Option(help=_PORT, show_default=False)] = 0,
    server: Annotated[
        bool, typer.Option(help="Start a server; else join the one at PREFECT_API_URL.")
    ] = True,
    timezone: Timezone = "",
    drain: Annotated[float, typer.Option(help="Seconds that running steps get to end.")] = 60.0,
    limit: Annotated[int, typer.Option(help="Runs that the worker carries at once.")] = 5,
) -> None:
    """Start server, registration and worker in one; Ctrl-C drains and stops them."""
    from deployments.settings import control_room
    from deployments.up import Launcher

    room = control_room(host, port)
    tell = partial(print, flush=True)
    launcher = Launcher(room, tell, server=server, timezone=timezone, drain=drain, limit=limit)
    launcher.run()


def register(*, timezone: Timezone = "") -> None:
    """Make the server know every runbook on every saved cluster; the same again changes nothing.

    Exit 1 when the settings of a cluster cannot be used: its deployments stay as they are.
    """
    reach_server()
    from deployments.register import register as register_all

    done = register_all(timezone)
    for one in done:
        print(one)
    if any(one.error for one in done):
        raise typer.Exit(1)
