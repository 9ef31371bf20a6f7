"""Keep what is slow to make, between runs: npm's Azurite, the machines' root file system."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache() -> Path:
    """Return the cache folder: $PG_RUNBOOKS_CACHE, else ~/.cache/pg-runbooks."""
    named = os.environ.get("PG_RUNBOOKS_CACHE")
    path = Path(named) if named else Path.home() / ".cache" / "pg-runbooks"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def making(name: str) -> Iterator[Path]:
    """Hold a cached thing alone while it is looked for and made; yield its path."""
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield cache() / name
