"""Copies of the record in a store: pieces that are never overwritten, and what is still to copy."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import gethostname

from runbook.audit.anchor import FOLDER as ANCHORS
from runbook.audit.index import FOLDER, OPEN, RUNS, RunsIndex
from runbook.audit.settings import AuditCopy
from runbook.errors import Damaged
from runbook.stores import OpenStore
from runbook.stores.store import AlreadyThere, Retaining
from runbook.whole_file import write_whole

_MOST_BYTES = 4 << 20
_INDEX = "index"


@dataclass(frozen=True)
class Copied:
    """What a copying brought to the store."""

    pieces: int = 0
    size: int = 0
    locked: bool = False


@dataclass(frozen=True)
class Cursor:
    """How much of a file the store has: bytes and lines."""

    size: int = 0
    lines: int = 0


@dataclass(frozen=True)
class Mirror:
    """The copy of an audit folder in one store. What is not there yet is kept in a queue."""

    audit: Path
    settings: AuditCopy
    open: Callable[[], OpenStore]

    @property
    def prefix(self) -> str:
        """Give the folder of this machine in the store."""
        worker = self.settings.worker or re.sub(r"[^A-Za-z0-9_.-]", "_", gethostname())
        return f"{self.settings.folder}/{worker}"

    @property
    def queue(self) -> Path:
        """Give the folder that names what is still to be copied."""
        return self.audit / "mirror" / re.sub(r"[^A-Za-z0-9_.-]", "_", self.settings.store)

    def expect(self, *runs: str) -> None:
        """Put runs into the queue, and the index."""
        self.queue.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in (_INDEX, *runs):
            path = self.queue / name
            if not path.exists():
                _keep(path, Cursor())

    def catch_up(self) -> Copied:
        """Copy all that the queue names; what fails stays in it."""
        pieces, size, locked = 0, 0, False
        with self._alone() as mine:
            if not mine:
                return Copied()
            with self.open() as store:
                for made, bound in self._copied(store):
                    pieces, size, locked = pieces + 1, size + made, locked or bound
        return Copied(pieces, size, locked)

    def waiting(self) -> list[str]:
        """Name the runs of which the store lacks something."""
        names = [path.name for path in self.queue.glob("*") if path.name != _INDEX]
        return sorted(name for name in names if not name.startswith("."))

    def _copied(self, store: OpenStore) -> Iterator[tuple[int, bool]]:
        for run in self.waiting():
            path, marker = self.audit / f"{run}.jsonl", self.queue / run
            sealed = not (self.audit / FOLDER / OPEN / run).exists()
            yield from self._pieces(store, path, marker, f"{self.prefix}/runs/{run}")
            if sealed and path.exists() and _cursor(marker).size == path.stat().st_size:
                marker.unlink()
        index = RunsIndex(self.audit)
        place = f"{self.prefix}/{_INDEX}"
        yield from self._pieces(store, index.folder / RUNS, self.queue / _INDEX, place)
        for path in sorted((index.folder / ANCHORS).glob("*.txt*")):
            yield from self._anchor(store, path)

    def _pieces(
        self, store: OpenStore, path: Path, marker: Path, place: str
    ) -> Iterator[tuple[int, bool]]:
        """Copy whole lines that the store lacks; each piece is named for its first line."""
        if not path.exists():
            return
        with path.open("rb") as file:
            while True:
                cursor = _cursor(marker)
                file.seek(cursor.size)
                data = file.read(_MOST_BYTES)
                data = data[: data.rfind(b"\n") + 1] or data + file.readline()
                if not data.endswith(b"\n"):
                    return
                kept, bound = self._put(store, f"{place}/{cursor.lines:08d}.jsonl", data)
                lines = data[:kept].count(b"\n")
                _keep(marker, Cursor(cursor.size + kept, cursor.lines + lines))
                yield kept, bound

    def _put(self, store: OpenStore, key: str, data: bytes) -> tuple[int, bool]:
        """Put a piece; one that is there already counts if it is the beginning of ours."""
        try:
            if self.settings.retain_days and isinstance(store, Retaining):
                until = datetime.now(UTC) + timedelta(days=self.settings.retain_days)
                mode = self.settings.retain_mode
                return len(data), store.put_retained(key, data, until=until, mode=mode)
            store.put(key, data)
        except AlreadyThere:
            there = store.get(key)
            if data.startswith(there):
                return len(there), False
            raise Damaged(
                f"{store}/{key} is not what stands here",
                detail=f"the store has {len(there)} bytes, this machine {len(data)}",
                hint="pg-runbooks audit verify --against STORE places the difference.",
            ) from None
        return len(data), False

    def _anchor(self, store: OpenStore, path: Path) -> Iterator[tuple[int, bool]]:
        done = self.queue / f".anchor-{path.name}"
        if not done.exists():
            yield self._put(store, f"{self.prefix}/{ANCHORS}/{path.name}", path.read_bytes())
            done.touch()

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Tell whether no other process copies now; the one that does copies ours, too."""
        self.expect()
        descriptor = os.open(self.queue / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(descriptor)


def _cursor(marker: Path) -> Cursor:
    words = marker.read_text().split() if marker.exists() else []
    if len(words) == 2 and all(word.isdecimal() for word in words):
        return Cursor(int(words[0]), int(words[1]))
    return Cursor()


def _keep(marker: Path, cursor: Cursor) -> None:
    write_whole(marker, f"{cursor.size} {cursor.lines}\n")
