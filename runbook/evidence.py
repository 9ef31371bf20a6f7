"""What a run keeps for bad days: what it is, where it lies, and how it can be checked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, order=True)
class KeptFile:
    """A file by its name, with its bytes counted and their SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Kept:
    """A verified backup or export; without `finished` it is older than the run, and still true."""

    what: str
    where: tuple[str, ...]
    files: tuple[KeptFile, ...]
    verified: datetime
    finished: datetime | None = None


def checksum(files: Iterable[KeptFile]) -> str:
    """Give the SHA-256 of a file; of several that of their list, as sha256sum writes it, by name.

    Ref.: sha256sum(1)
    """
    listed = sorted(files)
    if len(listed) == 1:
        return listed[0].sha256
    text = "".join(f"{file.sha256}  {file.name}\n" for file in listed)
    return hashlib.sha256(text.encode()).hexdigest()
