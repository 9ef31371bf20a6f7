"""A container as the service manager of the PostgreSQL server in it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from runbook.hosts import Command, DockerExec, DockerRun, Host
from runbook.service import Server, Service
from runbook.tools.docker import Container


class DockerContainer(Service):
    """A container whose data directory is a directory of the machine (a bind mount).

    The node's host is the machine: files and the container are handled there, PostgreSQL's
    programs run inside. `os_user` is the machine's user that may rename the directory: root.
    """

    kind: Literal["docker-container"] = "docker-container"
    needs_directory: ClassVar[bool] = True
    container: str = Field(description="Name of the container.")
    data_directory: str = Field(
        default="/var/lib/postgresql/data", description="The data directory's name inside."
    )
    user: str = Field(default="postgres", description="User of the server inside.")
    engine: tuple[str, ...] = Field(default=("docker",), description="The container client.")
    engine_user: str = Field(
        default="", description="Operating system user that may use it; empty: the login."
    )
    policy: Literal["no", "always", "unless-stopped", "on-failure"] = Field(
        default="always", description="Restart policy that it gets whenever it is started."
    )

    def start(self, server: Server) -> tuple[Command, ...]:  # noqa: ARG002
        """Ref.: docker start"""
        return (self._container.start(),)

    def stop(self, server: Server) -> tuple[Command, ...]:
        """End the server as the page does, not by docker stop, which may kill it.

        Ref.: PostgreSQL documentation, pg_ctl; docker stop
        """
        # The server may be down in a container that runs: then pg_ctl has nothing to end.
        end = self._container.execute(self.user, *self._ending(server), ok=(0, 1, 137))
        return (end, self._container.stop(600))

    def restart(self, server: Server) -> Command:
        """Ref.: PostgreSQL documentation, pg_ctl; docker start"""
        return self._container.restart(600, self.user, *self._ending(server))

    def restart_shown(self, server: Server) -> str:
        """Give the page's two lines."""
        end, _ = self.stop(server)
        return f"{end}; {self._container.start()}"

    def hold(self, server: Server) -> tuple[Command, ...]:  # noqa: ARG002
        """Ref.: docker update"""
        return (self._container.hold(),)

    def release(self, server: Server) -> tuple[Command, ...]:  # noqa: ARG002
        """Ref.: docker update"""
        return (self._container.release(self.policy),)

    def held(self, server: Server) -> Command | None:  # noqa: ARG002
        """Ref.: docker inspect"""
        return self._container.is_still()

    def console(self, host: Host) -> Host:
        """Give the inside of the running container."""
        way = DockerExec(
            over=host.way.machine,
            container=self.container,
            engine=self.engine,
            engine_user=self.engine_user,
            user=self.user,
        )
        return Host(name=host.name, way=way)

    def workshop(self, host: Host, directory: str) -> Host:
        """Give a container of its own from the same image, because this one may be down."""
        way = DockerRun(
            over=host.way.machine,
            container=self.container,
            engine=self.engine,
            engine_user=self.engine_user,
            user=self.user,
            directory=directory,
        )
        return Host(name=host.name, way=way)

    def user_inside(self, os_user: str) -> str:  # noqa: ARG002
        """Name the user of the server inside."""
        return self.user

    def seen_inside(self, directory: str) -> str:  # noqa: ARG002
        """Give the data directory's name inside."""
        return self.data_directory

    @property
    def _container(self) -> Container:
        return Container(self.container, self.engine, self.engine_user)

    def _ending(self, server: Server) -> tuple[str, ...]:
        return (server.program("pg_ctl"), "stop", "-D", self.data_directory, "-m", "fast", "-W")
