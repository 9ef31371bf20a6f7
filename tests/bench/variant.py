"""A variant of a measurement, and what one round of it gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.bench.meter import Cost


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Took:
    """What one run took: seconds, seconds of its stages, peak bytes of its worker, bytes made."""

    seconds: float
    stages: Mapping[str, float] = field(default_factory=dict)
    memory: int = 0
    output: int = 0


@dataclass(frozen=True)
class Variant:
    """One way to do the thing that is measured.

    `note` says what it does and verifies. Not timed: `before`, `after`, and `prove`, which raises
    when the result is not what it should be (only in the first round with `prove_once`).
    """

    name: str
    note: str
    run: Callable[[], Took]
    before: Callable[[], None] = _nothing
    after: Callable[[], None] = _nothing
    prove: Callable[[], None] = _nothing
    prove_once: bool = True


@dataclass(frozen=True)
class Sample:
    """One round of one variant."""

    took: Took
    cost: Cost
    memory: int
