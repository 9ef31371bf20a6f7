"""Series of samples, their statistics, and the goals they are held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from tests.bench.variant import Sample


@dataclass(frozen=True)
class Spread:
    """Least, middle and greatest of some values."""

    least: float
    middle: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise values."""
        return cls(min(values), median(values), max(values))


@dataclass(frozen=True)
class Series:
    """All rounds of one variant."""

    name: str
    note: str
    samples: tuple[Sample, ...]

    @property
    def seconds(self) -> tuple[float, ...]:
        """Give the seconds of each round."""
        return tuple(sample.took.seconds for sample in self.samples)

    def stage(self, name: str) -> tuple[float, ...]:
        """Give the seconds of a stage in each round."""
        return tuple(sample.took.stages[name] for sample in self.samples)

    @property
    def stages(self) -> tuple[str, ...]:
        """Name the stages."""
        return tuple(self.samples[0].took.stages)

    def middle(self, field: Literal["own", "foreign", "stolen"]) -> float:
        """Give the median of a cost."""
        return median(float(getattr(sample.cost, field)) for sample in self.samples)

    @property
    def memory(self) -> int:
        """Give the peak over all rounds, in bytes."""
        return max(sample.memory for sample in self.samples)

    @property
    def output(self) -> int:
        """Give the bytes made, of the last round."""
        return self.samples[-1].took.output


def ratios(slow: Sequence[float], fast: Sequence[float]) -> tuple[float, ...]:
    """Divide round by round: how many times as long the first took."""
    return tuple(a / b for a, b in zip(slow, fast, strict=True))


@dataclass(frozen=True)
class Goal:
    """What a figure should be: measured round by round, judged by its median."""

    text: str
    measured: tuple[float, ...]
    bound: float
    sense: Literal["at least", "at most"]
    unit: str = "x"

    @property
    def spread(self) -> Spread:
        """Summarise what was measured."""
        return Spread.of(self.measured)

    @property
    def reached(self) -> bool:
        """Judge by the median."""
        middle = self.spread.middle
        return middle >= self.bound if self.sense == "at least" else middle <= self.bound


@dataclass(frozen=True)
class Part:
    """One measurement: its series, the first of them the yardstick, and its goals."""

    name: str
    title: str
    remarks: tuple[str, ...]
    series: tuple[Series, ...]
    goals: tuple[Goal, ...]
    compared: bool = True
    """Whether ratios to the first of the series mean anything."""

    def __getitem__(self, name: str) -> Series:
        return next(series for series in self.series if series.name == name)
