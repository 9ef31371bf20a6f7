"""Commands of the measurement: run to their end, timed, written down before time stops."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import processes

_HOURS = 4 * 3600.0
_PIPE = "set -o pipefail; "


def run(
    argv: Sequence[str | Path], *, user: str | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run a command and give what it printed; LabError when it fails."""
    return processes.run(argv, user=user, env=env, timeout=_HOURS).stdout


def pipe(
    script: str, *arguments: str | Path, user: str = "", env: Mapping[str, str] | None = None
) -> None:
    """Run a fixed script with a pipe in it; it fails when any of its commands does."""
    run(("bash", "-c", _PIPE + script, "pipe", *arguments), user=user or None, env=env)


def synced(directory: Path) -> None:
    """Wait until the file system of a directory has written everything down (syncfs)."""
    run(("sync", "-f", directory))


def folder(path: Path) -> Path:
    """Make an empty folder that belongs to postgres."""
    emptied(path)
    path.mkdir(mode=0o755, parents=True)
    shutil.chown(path, "postgres", "postgres")
    return path


def emptied(path: Path) -> None:
    """Remove a folder with everything in it."""
    if path.exists():
        shutil.rmtree(path)


def bytes_in(path: Path) -> int:
    """Sum up the files under a path."""
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


@dataclass
class Clock:
    """Seconds of a block."""

    seconds: float = 0.0


@contextmanager
def timed() -> Iterator[Clock]:
    """Time a block."""
    clock, began = Clock(), time.perf_counter()
    yield clock
    clock.seconds = time.perf_counter() - began
