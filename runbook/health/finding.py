"""What was looked at, what was seen, and how bad it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

from runbook.errors import RunbookError
from runbook.health.limits import Limit, SizeLimit


class Level(IntEnum):
    """How bad a finding is; the greatest of all decides."""

    OK = 0
    WARNING = 1
    CRITICAL = 2

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Finding:
    """One line of the table: where, what was looked at, what was seen, what to do next."""

    level: Level
    where: str
    what: str
    seen: str
    hint: str = ""


def graded(value: float, limit: Limit | SizeLimit) -> Level:
    """Hold a number against its two bounds."""
    if value > limit.critical:
        return Level.CRITICAL
    return Level.WARNING if value > limit.warning else Level.OK


def found(level: Level, where: str, what: str, seen: str, hint: str = "") -> Finding:
    """Make a finding; what is well needs no hint."""
    return Finding(level, where, what, seen, hint if level is not Level.OK else "")


def gathered(where: str, what: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Look; what cannot be looked at is a critical finding, and the others are still made."""
    try:
        return list(look())
    except RunbookError as error:
        seen = error.detail or error.message
        return [Finding(Level.CRITICAL, where, what, seen, error.hint)]
