"""Commands in a folder of the Orchestrator, whose words are told without secrets."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from runbook.actions import Action, Work
from runbook.errors import CommandFailed, GoalNotReached
from runbook.hosts import Command
from runbook.orchestrator.hush import errors_of, hushed
from runbook.orchestrator.places import Live
from runbook.run import current

_LOOK_SECONDS = 1.0
# A command in a folder that nobody else may read, nor what is written there. All it says goes to
# standard error, of which the end is kept: whatever it says, it never waits for a reader.
_INSIDE = 'umask 077; mkdir -p -- "$1" && cd -- "$1" && shift && exec "$@" >&2'


@dataclass(frozen=True)
class Vendor:
    """Runs commands in a folder of the Orchestrator, each for a limited time."""

    live: Live
    folder: str
    configuration: Callable[[], str] = lambda: ""
    """Gives another configuration whose secrets the program may tell."""
    rows: bool = False
    """Whether it loads rows: then errors alone are told, without what they quote; and where it
    tells one, its exit code 0 is not believed."""

    def action(self, command: Command) -> Action:
        """Give a command as an action."""
        host = self.live.node.host
        return Work(host.name, self._shown(command), lambda: self.run(command))

    def run(self, command: Command, hint: str = "") -> str:
        """Run a command to its end; CommandFailed, or GoalNotReached after the limit."""
        argv = ("sh", "-c", _INSIDE, "inside", self.folder, *_with_environment(command))
        whole = replace(command, argv=argv, env=(), shown=self._shown(command))
        patience = command.timeout or self.live.settings.limit_seconds
        deadline = time.monotonic() + patience
        with self.live.node.host.running(whole) as process:
            while True:
                current().go_on()
                try:
                    code = process.wait(_LOOK_SECONDS)
                    break
                except TimeoutError:
                    if time.monotonic() > deadline:
                        raise self._late(command, patience) from None
            said = process.stderr()
        if code != 0 or (self.rows and errors_of(said)):
            raise self._failed(command, code, said, hint)
        return f"{_program(command)} has ended well"

    def _shown(self, command: Command) -> str:
        return f"cd {shlex.quote(self.folder)} && {command}"

    def _failed(self, command: Command, code: int, said: str, hint: str) -> CommandFailed:
        live = self.live
        program = _program(command)
        last = "\n".join(self._told(said)[-12:])
        return CommandFailed(
            f"{live.node.host}: {program} ended with exit code {code}"
            f"{'' if code else ', and has told errors'}",
            detail=f"ran on {live.node.host}: {self._shown(command)}\n{last}".rstrip(),
            hint=f"Remove the cause and start the runbook again. {hint}".rstrip(),
        )

    def _told(self, said: str) -> Sequence[str]:
        if self.rows:
            hidden = (
                f"({len(said.splitlines())} lines; they may quote rows, and only errors are told)"
            )
            return (*errors_of(said), hidden)
        live = self.live
        here = live.node.host.content(live.settings.config, user=live.settings.user)
        return hushed(said, f"{here}\n{self.configuration()}").strip().splitlines()

    def _late(self, command: Command, patience: float) -> GoalNotReached:
        live = self.live
        return GoalNotReached(
            f"{live.node.host}: not ended after {patience:.0f} s, and stopped",
            detail=f"ran on {live.node.host}: {self._shown(command)}",
            hint="Type that line there, and see what it waits for."
            if command.timeout
            else "Does somebody hold a lock in the Orchestrator's database, as a deploy does? "
            "Start again after that, or raise orchestrator.limit_seconds.",
        )


def _with_environment(command: Command) -> tuple[str, ...]:
    named = tuple(f"{name}={value}" for name, value in command.env)
    return (*(("env", *named) if named else ()), *command.argv)


def _program(command: Command) -> str:
    """Name the program, which a script of ours bears the name of, too."""
    is_script = command.argv[:2] == ("sh", "-c")
    return command.argv[3 if is_script else 0].rpartition("/")[2]
