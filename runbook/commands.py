"""Applications that are driven by commands of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from runbook.actions import Action, Execute
from runbook.hosts import Command, Host
from runbook.repoint import plain
from runbook.repoint.change import FileChange
from runbook.repoint.reading import Reading
from runbook.repoint.target import Target
from runbook.repoint.variable import DatabaseVariable


class Commands(BaseModel):
    """Any application that can be started, stopped and asked by commands of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["commands"] = "commands"
    remove_volumes: ClassVar[bool] = False
    start_command: tuple[str, ...] = Field(description="Starts it and returns.")
    stop_command: tuple[str, ...] = Field(description="Stops it and returns.")
    running_command: tuple[str, ...] = Field(description="Exits with 0 while it runs, else 1.")
    user: str = Field(default="", description="Operating system user; empty: the login.")

    def start(self) -> Command:
        """Give the command that starts the application."""
        return Command(self.start_command, user=self.user, timeout=300)

    def stop(self) -> Command:
        """Give the command that stops the application."""
        return Command(self.stop_command, user=self.user, timeout=300)

    def running(self) -> Command:
        """Give the command that tells whether it runs."""
        return Command(self.running_command, user=self.user, ok=(0, 1), timeout=60)

    def still(self) -> Command:
        """Exit with 0 when it does not run."""
        argv = ("sh", "-c", '"$@"; test $? = 1', "still", *self.running_command)
        return Command(argv, user=self.user, ok=(0, 1), timeout=60)

    def make(self) -> Command:
        """Start it: nothing has to be made."""
        return self.start()

    def made(self) -> Command:
        """Exit with 0: it can always be started."""
        return Command(("true",))

    def up(self, host: Host, *, begun: bool) -> Command:  # noqa: ARG002 - compose has jobs
        """Exit with 0 while it runs."""
        return self.running()

    def stopping(self, host: Host) -> tuple[Action, ...]:
        """Stop it."""
        return (Execute(host, self.stop()),)

    def starting(self, host: Host, policies: Mapping[str, str]) -> tuple[Action, ...]:  # noqa: ARG002
        """Start it."""
        return (Execute(host, self.start()),)

    def stopping_for_promotion(self, host: Host) -> tuple[Action, ...]:
        """Stop it."""
        return self.stopping(host)

    def refusal(self, variable: DatabaseVariable) -> str:
        """Tell why a database variable cannot be one of this application; empty: it can."""
        named = variable.file.startswith("/") and not variable.service
        return "" if named else "an application without compose needs its file, and no service"

    def reading(self, host: Host, variables: Sequence[DatabaseVariable]) -> Reading:
        """Read what its files say about the database."""
        return plain.read(host, self.user, variables)

    def check(
        self, readings: Sequence[Reading], target: Target, changes: Collection[FileChange]
    ) -> None:
        """Nothing but the application itself could judge them."""

    def recreating(self, host: Host, variables: Sequence[DatabaseVariable]) -> tuple[Action, ...]:
        """Stop it, if it runs, and start it; then the mark goes that made it due."""
        runs = host.run(self.running()).exit_code == 0
        stop = self.stopping(host) if runs else ()
        unmark = Command(("rm", "-f", plain.restart_due(variables)), user=self.user)
        return (*stop, Execute(host, self.start()), Execute(host, unmark))

    def has_taken(self, reading: Reading) -> bool:
        """Ask whether it was started after its files were changed, and runs."""
        if reading.host.holds("test", "-e", reading.due, user=self.user):
            return False
        return reading.host.run(self.running()).exit_code == 0

    def policies(self, host: Host) -> Mapping[str, str]:  # noqa: ARG002 - compose has some
        """Nothing is restarted by a policy."""
        return {}
