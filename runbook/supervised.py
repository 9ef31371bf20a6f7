"""A process beside PostgreSQL that a supervisor runs, such as repmgr's daemon."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from runbook.actions import Action, Execute
from runbook.hosts import Host
from runbook.tools import monit


class MonitProcess(BaseModel):
    """A process that monit supervises and that is no PostgreSQL server."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    process: str = Field(default="repmgr", description="Name of the process in monit.")
    command: str = Field(
        default="repmgrd",
        description="Name of the program that runs, as ps -o comm has it: monit's own word is "
        "not enough, since a script that only waits counts as running.",
    )
    program: str = Field(
        default="monit", description="The command; on BOSH machines /var/vcap/bosh/bin/monit."
    )


@dataclass(frozen=True)
class Supervised:
    """A supervised process on one machine."""

    host: Host
    settings: MonitProcess

    def __str__(self) -> str:
        return f"{self.settings.process} on {self.host}"

    def starting(self) -> tuple[Action, ...]:
        """Start it. monit also starts what it depends on, PostgreSQL too: that must run before.

        The order ends when monit has taken it; `runs` tells what has become of it.
        """
        command = monit.start(self.settings.program, self.settings.process, patience=0)
        return (Execute(self.host, command),)

    def stopping(self) -> tuple[Action, ...]:
        """Stop it and keep it down; what it depends on, PostgreSQL, goes on."""
        command = monit.stop(self.settings.program, self.settings.process)
        return (Execute(self.host, command),)

    def runs(self) -> bool:
        """Tell whether its program runs, lasts for a second, and the supervisor watches it."""
        has = self.settings
        command = monit.is_running(has.program, has.process, has.command)
        return self.host.run(command).exit_code == 0

    def is_stopped(self) -> bool:
        """Tell whether its program does not run, and the supervisor would not start it."""
        has = self.settings
        command = monit.is_stopped(has.program, has.process, has.command)
        return self.host.run(command).exit_code == 0
