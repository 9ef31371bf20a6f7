"""Ways into a machine: the worker itself, or SSH, also through another machine."""

from __future__ import annotations

import shlex
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from runbook.hosts import connections
from runbook.hosts.process import LocalProcess, Process, SshProcess
from runbook.user import operating_system_user


class Local(BaseModel):
    """The machine that the worker runs on."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["local"] = "local"

    @property
    def login(self) -> str:
        """Name the operating system user that commands run as."""
        return operating_system_user()

    @property
    def machine(self) -> Local:
        """Give itself: no container is in between."""
        return self

    def __str__(self) -> str:
        return "the worker itself"

    def shown(self, line: str) -> str:
        """Give the line that a person would type."""
        return line

    def start(self, argv: tuple[str, ...]) -> Process:
        """Start a command."""
        return LocalProcess(argv)

    def close(self) -> None:
        """Nothing is kept open."""


class Ssh(BaseModel):
    """SSH with a key; the host's key must stand in `known_hosts`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["ssh"] = "ssh"
    address: str = Field(description="Host name or IP address.")
    port: int = Field(default=22, ge=1, le=65535, description="Port of sshd.")
    user: str = Field(
        default="postgres", description="Login; other users by sudo -n, from root by runuser."
    )
    key_file: str = Field(default="", description="Private key on the worker; empty: ssh-agent.")
    known_hosts: str = Field(
        default="~/.ssh/known_hosts", description="File on the worker with the host's public key."
    )
    jump: Ssh | None = Field(default=None, description="Host to go through, if any.")

    @property
    def login(self) -> str:
        """Name the operating system user that commands run as."""
        return self.user

    @property
    def machine(self) -> Ssh:
        """Give itself: no container is in between."""
        return self

    def __str__(self) -> str:
        through = f" through {self.jump.user}@{self.jump.address}" if self.jump else ""
        return f"ssh -p {self.port} {self.user}@{self.address}{through}"

    def shown(self, line: str) -> str:
        """Give the line that a person would type there."""
        return line

    def start(self, argv: tuple[str, ...]) -> Process:
        """Start a command in a channel of its own; the connection is shared and kept."""
        return SshProcess(connections.session(self), shlex.join(argv), str(self))

    def close(self) -> None:
        """Close the kept connection."""
        connections.close(self)
