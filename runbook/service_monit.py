"""monit as the service manager of a PostgreSQL server, as on an a9s-pg machine."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runbook.hosts import Command
from runbook.service import Server, Service
from runbook.tools import monit


class Monit(Service):
    """A process that monit supervises, such as postgresql-ha; what depends on it stops with it.

    monit's command needs root and monit's HTTP interface. A hold lasts until monit is told to
    start the process. monit 5.33 forgets it when the machine boots, unless its configuration has
    `set onreboot laststate`; whoever relies on a hold asks for the server as well.
    """

    kind: Literal["monit"] = "monit"
    process: str = Field(default="postgresql-ha", description="Name of the process in monit.")
    dependents: tuple[str, ...] = Field(
        default=(),
        description="Processes that depend on it, such as repmgr: monit stops them with it, and "
        "they are started again after it.",
    )
    program: str = Field(
        default="monit", description="The command; on BOSH machines /var/vcap/bosh/bin/monit."
    )

    def start(self, server: Server) -> tuple[Command, ...]:  # noqa: ARG002
        """Ref.: monit(1), start"""
        after = (monit.start(self.program, name, patience=0) for name in self.dependents)
        return (monit.start(self.program, self.process), *after)

    def stop(self, server: Server) -> tuple[Command, ...]:  # noqa: ARG002
        """Ref.: monit(1), stop"""
        return (monit.stop(self.program, self.process),)

    def restart(self, server: Server) -> Command:  # noqa: ARG002
        """Ref.: monit(1), restart"""
        return monit.restart(self.program, self.process)

    def hold(self, server: Server) -> tuple[Command, ...]:  # noqa: ARG002
        """Ref.: monit(1), unmonitor"""
        return (monit.unmonitor(self.program, self.process),)

    def stopping(self, server: Server) -> tuple[Command, ...]:
        """Only stop it: that takes the monitoring away by itself, and in one order."""
        return self.stop(server)

    def release(self, server: Server) -> tuple[Command, ...]:  # noqa: ARG002
        """Ref.: monit(1), monitor"""
        return (monit.monitor(self.program, self.process),)

    def held(self, server: Server) -> Command | None:  # noqa: ARG002
        """Ref.: monit(1), status"""
        return monit.is_held(self.program, self.process)
