"""The way into a machine that BOSH deployed: one `bosh ssh`, which all commands go through."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from runbook.hosts import bosh_session
from runbook.hosts.process import Process


class Bosh(BaseModel):
    """A machine of a BOSH deployment, by the worker's own `bosh` and `ssh`.

    `bosh ssh -c` forces a terminal, mixes and prefixes what a command prints, passes no input on
    and keeps the exit code to itself. So it runs once, as OpenSSH's control master, and every
    command is a session of its own in that connection: bytes as they are, and the exit code.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["bosh"] = "bosh"
    deployment: str = Field(description="Name of the deployment.")
    instance: str = Field(
        pattern=r"^[A-Za-z0-9][\w.-]*/[\w-]+$", description="Instance, such as pg/0 or pg/<id>."
    )
    environment: str = Field(
        default="", description="Director's name or URL; empty: as the environment file says."
    )
    environment_file: str = Field(
        default="",
        pattern=r"^(/.*)?$",
        description="File on the worker that a shell reads before bosh runs: export BOSH_CLIENT, "
        "BOSH_CLIENT_SECRET, BOSH_CA_CERT, BOSH_ENVIRONMENT; empty: what `bosh log-in` has kept.",
    )
    program: str = Field(default="bosh", description="The command on the worker.")

    @property
    def login(self) -> str:
        """Name the login: a user of its own for each session, which may use sudo."""
        return "bosh"

    @property
    def machine(self) -> Bosh:
        """Give itself: no container is in between."""
        return self

    def __str__(self) -> str:
        return shlex.join(self.command())

    def command(self) -> tuple[str, ...]:
        """Give the words of `bosh ssh` that lead to the machine."""
        director = ("-e", self.environment) if self.environment else ()
        return (self.program, *director, "-d", self.deployment, "ssh", self.instance)

    def shown(self, line: str) -> str:
        """Give the line that a person would type there."""
        return line

    def start(self, argv: tuple[str, ...]) -> Process:
        """Start a command; the connection is shared and kept."""
        return bosh_session.start(self, shlex.join(argv))

    @contextmanager
    def forwarded(self, address: str, port: int, socket: str) -> Iterator[None]:
        """Make a Unix socket of the worker lead to `address:port` as seen from the machine."""
        door = f"[{address}]" if ":" in address else address
        with bosh_session.of(self).forwarded(f"{socket}:{door}:{port}"):
            yield

    def close(self) -> None:
        """Close the kept connection; BOSH removes its user then."""
        bosh_session.close(self)
