"""Names in the layout of the a9s Backup Manager: `<guid>-<timestamp>`, its parts, its record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import total_ordering

_KEY = re.compile(r"(?P<time>[0-9]+)(?:-(?P<index>[0-9]+)|(?P<ending>\.json|\.begun))?")


@total_ordering
@dataclass(frozen=True)
class BackupName:
    """The id of a backup: opaque, but ordered by the number in it.

    The page's own examples have seconds in one place and milliseconds in another.
    """

    guid: str
    timestamp: str

    def __str__(self) -> str:
        return f"{self.guid}-{self.timestamp}"

    def __lt__(self, other: BackupName) -> bool:
        return (int(self.timestamp), str(self)) < (int(other.timestamp), str(other))

    @property
    def record(self) -> str:
        """Name the object with the metadata; without it, a backup does not count."""
        return f"{self}.json"

    @property
    def mark(self) -> str:
        """Name the object that says: a run of ours has begun this and not finished it."""
        return f"{self}.begun"

    def part(self, index: int) -> str:
        """Name a part of the encrypted stream, from 0."""
        return f"{self}-{index}"


@dataclass(frozen=True)
class Named:
    """What an object's key says: of which backup it is, and which piece.

    `index` is the number of a part as it is written, "" for anything else; `ending` is ".json" or
    ".begun"; neither: the whole encrypted stream in one object.
    """

    backup: BackupName
    index: str
    ending: str


def named(key: str, guid: str) -> Named | None:
    """Read a key; None when it belongs to no backup of this guid, also where one is the
    beginning of another."""
    if not key.startswith(f"{guid}-"):
        return None
    found = _KEY.fullmatch(key, len(guid) + 1)
    if found is None:
        return None
    name = BackupName(guid, found["time"])
    return Named(name, found["index"] or "", found["ending"] or "")


def new_name(guid: str, at: datetime) -> BackupName:
    """Name a backup begun at a time: milliseconds, as the Backup Manager writes them."""
    return BackupName(guid, str(int(at.timestamp() * 1000)))
