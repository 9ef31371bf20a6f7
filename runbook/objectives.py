"""What an outage may cost: time and data, and how a restore stands to that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from runbook.units import readable_seconds

RECOVERY_TIME = "recovery time"
RECOVERY_POINT = "recovery point"
BUDGET = " budget"
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(?:\d+(?:s|min|h|d))+")
_PART = re.compile(r"(\d+)(s|min|h|d)")


def _span(value: object) -> object:
    """Read a time with PostgreSQL's units, such as 15min or 1h 30min; leave all else alone."""
    text = value.replace(" ", "") if isinstance(value, str) else ""
    if not _SPAN.fullmatch(text):
        return value
    parts = _PART.findall(text)
    return timedelta(seconds=sum(int(number) * _SECONDS[unit] for number, unit in parts))


Span = Annotated[timedelta, BeforeValidator(_span), Field(gt=timedelta(0))]


class Objectives(BaseModel):
    """Recovery time and recovery point objective of a cluster; what is not set is not judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    rto: Span | None = Field(
        default=None, description="Longest time from the first stop until it serves, as 15min."
    )
    rpo: Span | None = Field(
        default=None, description="Greatest age of the data after a restore, as 24h."
    )

    def judged(self, name: str, seconds: float) -> Figure:
        """Give a measured RECOVERY_TIME or RECOVERY_POINT with its budget."""
        allowed = {RECOVERY_TIME: self.rto, RECOVERY_POINT: self.rpo}[name]
        return Figure(name, seconds, allowed.total_seconds() if allowed else None)


@dataclass(frozen=True)
class Figure:
    """A measured time and what was allowed, in seconds; None where no budget was set."""

    name: str
    seconds: float
    allowed: float | None = None

    @property
    def kept(self) -> bool:
        """Tell whether it is within its budget; what has none keeps it."""
        return self.allowed is None or self.seconds <= self.allowed

    @property
    def verdict(self) -> str:
        """Say how it stands to the budget; empty where there is none."""
        if self.allowed is None:
            return ""
        if self.kept:
            return "kept"
        return f"exceeded by {_spoken(self.seconds - self.allowed)}"

    @property
    def budget(self) -> str:
        """Say what was allowed; empty where there is no budget."""
        return f"{_spoken(self.allowed)} allowed" if self.allowed is not None else ""

    @property
    def judgement(self) -> str:
        """Say both."""
        return f"{self.verdict}: {self.budget}" if self.verdict else ""

    @property
    def remembered(self) -> Mapping[str, float]:
        """Give what a run remembers of it, so that it stands at the end of the record."""
        told = {f"{self.name} seconds": self.seconds}
        if self.allowed is not None:
            told[f"{self.name}{BUDGET} seconds"] = self.allowed
        return told

    def __str__(self) -> str:
        told = f" ({self.judgement})" if self.verdict else ""
        return f"{readable_seconds(self.seconds)}{told}"


def figures(measured: object) -> Iterator[Figure]:
    """Read what the end of a record says was measured."""
    told = measured if isinstance(measured, Mapping) else {}
    times = {str(key): float(v) for key, v in told.items() if isinstance(v, int | float)}
    for name, seconds in times.items():
        if not name.endswith(BUDGET):
            yield Figure(name, seconds, times.get(f"{name}{BUDGET}"))


def _spoken(seconds: float) -> str:
    """Give a time without a second unit that is zero."""
    return re.sub(r" 0 \w+$", "", readable_seconds(seconds))
