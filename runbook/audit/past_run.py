"""A past run as the index keeps it: tuples, since a history holds 100,000 of them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from runbook.objectives import RECOVERY_POINT, RECOVERY_TIME, Figure

SEAL = "emergency seal"
UNJUSTIFIED = "NOT JUSTIFIED"


class Answered(NamedTuple):
    """What a person answered to a plan, and through which door."""

    decision: str
    """approve, refuse, or rejected: an approval that did not count."""
    approver: str
    reason: str
    door: str
    verified: str


class SeenBackup(NamedTuple):
    """The backup of a run: taken, restored or verified; bytes and seconds."""

    role: str
    id: str
    size: int
    stored: int
    seconds: float
    finished: str


class PastRun(NamedTuple):
    """A run as the index keeps it; moments in UTC, `seconds` from its start to its end."""

    run: str
    runbook: str
    cluster: str
    requested_by: str
    reason: str
    began: str
    ended: str
    outcome: str
    changed: int
    error: str
    answers: tuple[Answered, ...] = ()
    backup: SeenBackup | None = None
    recovery_time: float | None = None
    recovery_point: float | None = None
    recovery_time_budget: float | None = None
    recovery_point_budget: float | None = None
    justified: str = ""
    host: str = ""
    version: str = ""
    entries: int = 0
    sha256: str = ""

    @property
    def seconds(self) -> float | None:
        """Give how long it took, waiting for answers included; None while it is open."""
        if not (self.began and self.ended):
            return None
        try:
            began, ended = map(datetime.fromisoformat, (self.began, self.ended))
        except ValueError:
            return None
        return (ended - began).total_seconds()

    @property
    def emergency(self) -> str:
        """Tell that a sealed code approved it, and how that was justified; else empty."""
        if not any(answer.verified == SEAL for answer in self.answers):
            return ""
        return f"justified by {self.justified}" if self.justified else UNJUSTIFIED

    @property
    def time(self) -> Figure | None:
        """Give the recovery time against its budget."""
        return _figure(RECOVERY_TIME, self.recovery_time, self.recovery_time_budget)

    @property
    def point(self) -> Figure | None:
        """Give the recovery point against its budget."""
        return _figure(RECOVERY_POINT, self.recovery_point, self.recovery_point_budget)

    @property
    def kept(self) -> bool | None:
        """Tell whether it stayed within its budgets; None where nothing is to be judged."""
        judged = [each for each in (self.time, self.point) if each and each.allowed is not None]
        return all(each.kept for each in judged) if judged else None

    @property
    def people(self) -> tuple[str, ...]:
        """Name who asked for it and who answered."""
        return (self.requested_by, *(answer.approver for answer in self.answers))


def _figure(name: str, seconds: float | None, allowed: float | None) -> Figure | None:
    return None if seconds is None else Figure(name, seconds, allowed)
