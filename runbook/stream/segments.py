"""Ranges of WAL, and the names of the segments that hold them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runbook.units import Lsn

MIB = 1 << 20
SEGMENT_SIZES = tuple(MIB << power for power in range(11))


@dataclass(frozen=True, slots=True)
class WalRange:
    """WAL of one timeline from `start` up to, not including, `end` (byte positions)."""

    timeline: int
    start: int
    end: int

    def segments(self, size: int) -> Iterator[str]:
        """Name every segment file of `size` bytes that holds a part of this range."""
        for number in range(self.start // size, (max(self.end, self.start + 1) - 1) // size + 1):
            yield segment_name(self.timeline, number, size)

    def __str__(self) -> str:
        return f"timeline {self.timeline}, {Lsn(self.start)} to {Lsn(self.end)}"


def segment_of(timeline: int, position: Lsn, size: int) -> str:
    """Name the segment of a timeline that a position lies in, for segments of `size` bytes."""
    return segment_name(timeline, position.position // size, size)


def segment_name(timeline: int, number: int, size: int) -> str:
    """Name segment `number` of a timeline for segments of `size` bytes."""
    per_id = (1 << 32) // size
    return f"{timeline:08X}{number // per_id:08X}{number % per_id:08X}"
