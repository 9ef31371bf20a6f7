"""Actions: the only things that change the world, each a value that prints as one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from runbook.hosts import Command, Host


@dataclass(frozen=True)
class Performed:
    """What an action answered: the exit code where there is one, and a short text."""

    exit_code: int | None = None
    said: str = ""


class Action(Protocol):
    """Something that changes the world: where, the line a DBA would type, and the deed."""

    @property
    def where(self) -> str:
        """Name the host, node or store."""

    @property
    def changes(self) -> bool:
        """Tell whether it changes anything; long reading, such as a verification, does not."""

    def __str__(self) -> str:
        """Give the line a person would type, secrets as `***`."""

    def perform(self) -> Performed:
        """Do it."""


@dataclass(frozen=True)
class Execute:
    """A command on a host. `shown` replaces a script that nobody would type as it stands."""

    host: Host
    command: Command
    shown: str = ""

    @property
    def where(self) -> str:
        """Name the host."""
        return self.host.name

    @property
    def changes(self) -> bool:
        """Commands that only read are no actions; `Host.read` runs them."""
        return True

    def __str__(self) -> str:
        return self.shown or self.host.shown(self.command)

    def perform(self) -> Performed:
        """Run the command; CommandFailed unless its exit code means success."""
        done = self.host.run(self.command)
        return Performed(done.exit_code, _last_lines(done.stderr or done.stdout))


@dataclass(frozen=True)
class Work:
    """A longer piece of work of our own, such as a stream; `line` tells what it does.

    With `changes=False` it only reads: planned and recorded like the others, but no change.
    """

    where: str
    line: str
    do: Callable[[], str] = field(repr=False)
    changes: bool = True

    def __str__(self) -> str:
        return self.line

    def perform(self) -> Performed:
        """Do the work and give its one-line result."""
        return Performed(None, self.do())


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-3:])[-500:]
