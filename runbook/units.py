"""Units a procedure speaks in: LSNs, bytes, durations."""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_STEPS = ("B", "kB", "MB", "GB", "TB", "PB")


@total_ordering
class Lsn:
    """A position in the write-ahead log, printed as PostgreSQL prints it (`0/3000028`)."""

    __slots__ = ("position",)

    def __init__(self, value: str | int) -> None:
        if isinstance(value, int):
            self.position = value
            return
        if not re.fullmatch(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}", value):
            raise ValueError(f"not an LSN: {value!r}")
        high, low = value.split("/")
        self.position = (int(high, 16) << 32) | int(low, 16)

    def __str__(self) -> str:
        return f"{self.position >> 32:X}/{self.position & 0xFFFFFFFF:X}"

    def __repr__(self) -> str:
        return f"Lsn({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lsn) and self.position == other.position

    def __lt__(self, other: Lsn) -> bool:
        return self.position < other.position

    def __sub__(self, other: Lsn) -> int:
        """Give the bytes of WAL between two positions."""
        return self.position - other.position

    def __hash__(self) -> int:
        return hash(self.position)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Accept text or an LSN; write text."""
        return core_schema.no_info_before_validator_function(
            lambda value: value if isinstance(value, Lsn) else Lsn(value),
            core_schema.is_instance_schema(cls),
            serialization=core_schema.to_string_ser_schema(),
        )


def counted(number: int, noun: str) -> str:
    """Count things in words: 1 command, 2 commands."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def readable_bytes(count: int) -> str:
    """Give a size as PostgreSQL's pg_size_pretty would, with one decimal below 10."""
    size = float(count)
    for step in _STEPS:
        if abs(size) < 1024 or step == _STEPS[-1]:
            break
        size /= 1024
    return (
        f"{count} B" if step == "B" else f"{size:.1f} {step}" if size < 10 else f"{size:.0f} {step}"
    )


def readable_seconds(seconds: float) -> str:
    """Give a duration in the largest two units that say something."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
