"""Service managers: how a PostgreSQL server is started, stopped and held down."""

from __future__ import annotations

from shlex import quote
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from runbook.hosts import Command
from runbook.service import Server, Service
from runbook.service_container import DockerContainer
from runbook.service_monit import Monit
from runbook.tools import pg_ctl

_IS_HELD = """
test "$(systemctl is-enabled "$1" 2>/dev/null)" = masked && exit
test -e "$2" && systemctl show -p DropInPaths "$1" | grep -q "/${2##*/}"
"""


class Systemd(Service):
    """A systemd unit, such as postgresql@15-main."""

    kind: Literal["systemd"] = "systemd"
    unit: str = Field(default="postgresql", description="Name of the unit.")

    def start(self, server: Server) -> tuple[Command, ...]:  # noqa: ARG002
        """Ref.: systemctl(1), start"""
        return (Command(("systemctl", "start", self.unit), user="root"),)

    def stop(self, server: Server) -> tuple[Command, ...]:  # noqa: ARG002
        """Ref.: systemctl(1), stop"""
        return (Command(("systemctl", "stop", self.unit), user="root"),)

    def restart(self, server: Server) -> Command:  # noqa: ARG002
        """Ref.: systemctl(1), restart"""
        return Command(("systemctl", "restart", self.unit), user="root")

    def hold(self, server: Server) -> tuple[Command, ...]:  # noqa: ARG002
        """Mask it; a unit whose own file lies in /etc/systemd/system cannot be masked.

        Such a one gets a drop-in, with which no start succeeds as long as the drop-in is there.
        Ref.: systemctl(1), mask; systemd.unit(5), AssertPathExists=
        """
        script = (
            f"systemctl mask {quote(self.unit)} || "
            f"{{ umask 022 && mkdir -p {quote(self._folder)} && "
            f'printf "[Unit]\\nAssertPathExists=!%s\\n" {quote(self._drop_in)} '
            f">{quote(self._drop_in)} && systemctl daemon-reload; }}"
        )
        return (Command(("sh", "-c", script), user="root"),)

    def stopping(self, server: Server) -> tuple[Command, ...]:
        """Stop first: a masked unit has lost its ExecStop.

        systemd then ends every process of it with SIGTERM, the WAL senders too, and the standbys
        do not get the last records. A stopped unit is not restarted by its own policy.
        """
        return (*self.stop(server), *self.hold(server))

    def release(self, server: Server) -> tuple[Command, ...]:  # noqa: ARG002
        """Ref.: systemctl(1), unmask"""
        script = (
            f"if [ -e {quote(self._drop_in)} ]; then rm {quote(self._drop_in)} || exit; "
            f"rmdir {quote(self._folder)} 2>/dev/null; systemctl daemon-reload; fi; "
            f"systemctl unmask {quote(self.unit)}"
        )
        return (Command(("sh", "-c", script), user="root"),)

    def held(self, server: Server) -> Command | None:  # noqa: ARG002
        """Ref.: systemctl(1), is-enabled; a drop-in counts when systemd has read it."""
        return Command(("sh", "-c", _IS_HELD, "sh", self.unit, self._drop_in), timeout=60)

    @property
    def _folder(self) -> str:
        name = self.unit if self.unit.endswith(".service") else f"{self.unit}.service"
        return f"/etc/systemd/system/{name}.d"

    @property
    def _drop_in(self) -> str:
        return f"{self._folder}/pg-runbooks-hold.conf"


class PgCtl(Service):
    """PostgreSQL's own pg_ctl, where no supervisor runs the server."""

    kind: Literal["pg_ctl"] = "pg_ctl"
    start_waits: ClassVar[bool] = True
    log_file: str = Field(
        default="", description="Server log; empty: the data directory's path with .log behind it."
    )
    options: str = Field(default="", description="Options for the server, as pg_ctl -o takes them.")

    def start(self, server: Server) -> tuple[Command, ...]:
        """Ref.: PostgreSQL documentation, pg_ctl"""
        log_file = self.first_log(server)
        program, user = server.program("pg_ctl"), server.os_user
        command = pg_ctl.start(
            program, server.directory(), user=user, log_file=log_file, options=self.options
        )
        return (command,)

    def stop(self, server: Server) -> tuple[Command, ...]:
        """Ref.: PostgreSQL documentation, pg_ctl"""
        return (pg_ctl.stop(server.program("pg_ctl"), server.directory(), user=server.os_user),)

    def restart(self, server: Server) -> Command:
        """Ref.: PostgreSQL documentation, pg_ctl"""
        log_file = self.first_log(server)
        program, user = server.program("pg_ctl"), server.os_user
        return pg_ctl.restart(
            program, server.directory(), user=user, log_file=log_file, options=self.options
        )

    def request_stop(self, server: Server) -> tuple[Command, ...]:
        """Ref.: PostgreSQL documentation, pg_ctl"""
        program, user = server.program("pg_ctl"), server.os_user
        return (pg_ctl.stop(program, server.directory(), user=user, wait=False),)

    def first_log(self, server: Server) -> str:
        """Ref.: PostgreSQL documentation, pg_ctl, -l"""
        return self.log_file or f"{server.directory()}.log"


class PgCtlCluster(Service):
    """Debian's pg_ctlcluster."""

    kind: Literal["pg_ctlcluster"] = "pg_ctlcluster"
    start_waits: ClassVar[bool] = True
    version: int = Field(description="Major version, such as 15.")
    cluster: str = Field(default="main", description="Name of the cluster in pg_lsclusters.")

    def start(self, server: Server) -> tuple[Command, ...]:
        """Ref.: pg_ctlcluster(1)"""
        return (self._command("start", server),)

    def stop(self, server: Server) -> tuple[Command, ...]:
        """Ref.: pg_ctlcluster(1)"""
        return (self._command("stop", server, "-m", "fast"),)

    def restart(self, server: Server) -> Command:
        """Ref.: pg_ctlcluster(1)"""
        return self._command("restart", server, "-m", "fast")

    def _command(self, verb: str, server: Server, *more: str) -> Command:
        argv = ("pg_ctlcluster", str(self.version), self.cluster, verb, *more)
        return Command(argv, user=server.os_user)


AnyService = Annotated[
    Systemd | PgCtl | PgCtlCluster | DockerContainer | Monit, Field(discriminator="kind")
]
