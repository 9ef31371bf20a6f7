"""What every service manager of a PostgreSQL server can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from runbook.hosts import Command, Host


class Server(Protocol):
    """What a service manager must know of the server it manages."""

    @property
    def os_user(self) -> str:
        """Name the operating system user that owns the server."""

    def program(self, name: str) -> str:
        """Give the path of one of PostgreSQL's programs."""

    def directory(self) -> str:
        """Give the data directory."""


class Service(BaseModel, ABC):
    """What starts and stops the server, and where the server's own programs run.

    All pure. State is never asked here: it is asked of PostgreSQL itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    needs_directory: ClassVar[bool] = False
    """Whether the settings must name the data directory, because the server sees another name."""

    start_waits: ClassVar[bool] = False
    """Whether the start ends well only when a server runs."""

    @abstractmethod
    def start(self, server: Server) -> tuple[Command, ...]:
        """Give the commands that start the server."""

    @abstractmethod
    def stop(self, server: Server) -> tuple[Command, ...]:
        """Give the commands that stop the server cleanly."""

    @abstractmethod
    def restart(self, server: Server) -> Command:
        """Give the one command that stops the server cleanly and starts it again.

        One, because the server must come back also when this run dies meanwhile.
        """

    def restart_shown(self, server: Server) -> str:  # noqa: ARG002
        """Give the line that a person would type for the restart; empty: as it is."""
        return ""

    def request_stop(self, server: Server) -> tuple[Command, ...]:
        """Give the commands that begin to stop the server, whether or not they wait for its end."""
        return self.stop(server)

    def hold(self, server: Server) -> tuple[Command, ...]:  # noqa: ARG002
        """Give the commands after which nothing may start the server, not even a reboot."""
        return ()

    def stopping(self, server: Server) -> tuple[Command, ...]:
        """Give the commands that stop the server and keep it down: held first, so that none starts.

        They may return before the server has ended.
        """
        return (*self.hold(server), *self.request_stop(server))

    def release(self, server: Server) -> tuple[Command, ...]:  # noqa: ARG002
        """Give the commands that end a hold."""
        return ()

    def held(self, server: Server) -> Command | None:  # noqa: ARG002
        """Give the command that exits with 0 while the server is held, where holding exists."""
        return None

    def first_log(self, server: Server) -> str:  # noqa: ARG002
        """Give the file that the server writes to without its log collector; empty: none known."""
        return ""

    def console(self, host: Host) -> Host:
        """Give where programs run beside the running server."""
        return host

    def workshop(self, host: Host, directory: str) -> Host:  # noqa: ARG002
        """Give where PostgreSQL's programs work on a directory, whether or not the server runs."""
        return host

    def user_inside(self, os_user: str) -> str:
        """Name the user that the server runs as, where its programs run."""
        return os_user

    def seen_inside(self, directory: str) -> str:
        """Give the name that the data directory has for the server itself."""
        return directory
