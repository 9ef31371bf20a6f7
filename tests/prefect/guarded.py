"""A control room whose API asks for a login, and people and programs that knock."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.lab.servers import free_port
from tests.prefect.room import ROOT, Room

PASSWORD = "a%secret of:the tests"
COMMAND = (sys.executable, "-m", "deployments.cli")
LOGIN = f"runbooks:{PASSWORD}"


@dataclass(frozen=True)
class Guarded:
    """The room, and the port that is kept for a proxy before it."""

    room: Room
    proxy_port: int

    @property
    def url(self) -> str:
        """Give the address of the API."""
        return self.room.where.api

    def command(
        self, *arguments: str, login: str = LOGIN, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run pg-runbooks to its end, with a login or with an empty one."""
        own = {
            "PREFECT_API_URL": self.url,
            "PREFECT_API_AUTH_STRING": login,
            "PREFECT_HOME": str(self.room.state / "prefect"),
            "PG_RUNBOOKS_STATE": str(self.room.state),
        }
        return command(*arguments, **(own | settings))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let Prefect's own client in this process talk to it for the time of a block."""
        settings = {
            PREFECT_API_URL: self.url,
            PREFECT_API_AUTH_STRING: LOGIN,
            PREFECT_HOME: self.room.state / "prefect",
            PREFECT_LOGGING_TO_API_ENABLED: False,
        }
        with temporary_settings(settings):
            yield


@contextmanager
def guarded_room(folder: Path) -> Iterator[Guarded]:
    """Start one; the launcher has its login from a Prefect profile, which its children lack."""
    profile = folder / "home" / ".prefect" / "profiles.toml"
    profile.parent.mkdir(parents=True)
    own = f'[profiles.default]\nPREFECT_API_AUTH_STRING = "{LOGIN}"\n'
    profile.write_text(f'active = "default"\n\n{own}')
    port = free_port()
    settings = {
        "HOME": str(folder / "home"),
        "PREFECT_SERVER_API_AUTH_STRING": LOGIN,
        "PREFECT_SERVER_UI_API_URL": f"https://127.0.0.1:{port}/api",
    }
    room = Room(folder / "state", free_port(), settings)
    try:
        room.start()
        yield Guarded(room, port)
    finally:
        room.close()


def command(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run pg-runbooks to its end, with these settings of Prefect and no others."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(settings),
        cwd="/",
        stdin=subprocess.DEVNULL,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of a program with these settings and none of the tests'."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PG_RUNBOOKS"))}
    return kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"} | dict(settings)


def basic(login: str) -> dict[str, str]:
    """Give the header that a worker sends."""
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def lets_in(url: str, token: str, certificate: Path | None = None) -> bool:
    """Open a websocket of the API as Prefect's programs do; tell whether we may.

    With asyncio, as they do: `websockets.sync` reads and writes a TLS connection from two threads,
    which OpenSSL does not allow, and loses some of a thousand handshakes under TLS 1.3.

    Ref.: https://github.com/python/cpython/issues/143756
    """
    context = ssl.create_default_context(cafile=str(certificate)) if certificate else None
    return asyncio.run(_lets_in(url.replace("http", "ws", 1), token, context))


async def _lets_in(address: str, token: str, context: ssl.SSLContext | None) -> bool:
    async with connect(address, subprotocols=[Subprotocol("prefect")], ssl=context) as socket:
        await socket.send(json.dumps({"type": "auth", "token": token}))
        try:
            async with asyncio.timeout(10):
                return '"auth_success"' in str(await socket.recv())
        except ConnectionClosed:
            return False


def visitor(address: str, certificate: Path) -> httpx.Client:
    """Give a browser without eyes: it keeps cookies and follows nobody by itself."""
    context = ssl.create_default_context(cafile=str(certificate))
    return httpx.Client(base_url=address, verify=context, headers={"Accept": "text/html"})
