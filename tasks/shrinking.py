"""Backups that are much smaller than those before them: told, never refused."""

from __future__ import annotations

from collections.abc import Sequence

from runbook import note
from runbook.units import readable_bytes

MEASURED = 7
"""So many are looked at: the last one alone may be the one that shrank."""

_SHARE = 0.5


def tell_shrunken(name: str, size: int, before: Sequence[tuple[str, int]]) -> None:
    """Warn where a backup has less than half the bytes of the largest of those before it."""
    largest = max(before, key=lambda one: one[1], default=("", 0))
    if size < _SHARE * largest[1]:
        note(
            f"WARNING: {name} holds {readable_bytes(size)}, {size / largest[1]:.0%} of the "
            f"{readable_bytes(largest[1])} of {largest[0]}. Was data removed? Else find out what "
            "is missing before the larger ones are removed"
        )
