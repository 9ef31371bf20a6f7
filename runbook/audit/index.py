"""The index of runs: a chain of its own, so that a lost, cut or older record is found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runbook.audit.chain import Entry, walk
from runbook.audit.chain_file import ChainFile, End, end_of, is_open, synced, whole_digest
from runbook.audit.summary import Summary

FOLDER = "index"
RUNS = "runs.jsonl"
HEAD = "head"
OPEN = "open"

_HEAD_LINE = "{lines:012d} {size:015d} {last}\n"


@dataclass(frozen=True)
class Head:
    """How far the index was written, kept beside it: lines, bytes, digest of the last line."""

    lines: int
    size: int
    last: str

    @property
    def line(self) -> str:
        """Write it as it stands in its file, to the byte."""
        return _HEAD_LINE.format(lines=self.lines, size=self.size, last=self.last)


@dataclass(frozen=True)
class RunsIndex:
    """The index of the runs of one worker. Every call is whole by itself, under a file lock."""

    audit: Path

    @property
    def folder(self) -> Path:
        """Give the folder of the index."""
        return self.audit / FOLDER

    @property
    def path(self) -> Path:
        """Give the file of the chain."""
        return self.folder / RUNS

    def began(self, run: str, told: Entry, found: Entry) -> Entry:
        """Enter that a run begins or goes on, after all that other processes left unsealed.

        Gives the reference that the run's own record holds.
        """
        self._made()
        self.settle(but=run)
        marker = self.folder / OPEN / run
        marker.touch()
        synced(marker.parent)
        event = "continued" if found else "started"
        return self.enter(event, {"run": run, **told, **found})

    def sealed(self, event: str, run: str, told: Entry, seal: Entry) -> None:
        """Enter how a record stands: it ended, waits, or was left by a process that died."""
        self.enter(event, {"run": run, **told, **seal})
        (self.folder / OPEN / run).unlink(missing_ok=True)

    def enter(self, event: str, fields: Entry) -> Entry:
        """Append an entry and tell its number and digest."""
        with self._chain() as chain:
            chain.append(event, fields)
            return {"number": chain.end.lines - 1, "sha256": chain.end.last}

    def settle(self, but: str = "") -> list[str]:
        """Seal the records of processes that died; give their runs."""
        if not (self.folder / OPEN).is_dir():
            return []
        left = [each.name for each in (self.folder / OPEN).iterdir() if each.name != but]
        return [run for run in sorted(left) if self._settled(run)]

    def _settled(self, run: str) -> bool:
        path = self.audit / f"{run}.jsonl"
        if is_open(path):
            return False
        content = path.read_bytes() if path.exists() else b""
        end, seen = end_of(content), walk(content)
        summary = Summary.of(seen.entries)
        event = "ended" if summary.ended else "waiting" if summary.outcome == "waiting" else "left"
        self.sealed(event, run, summary.told(), seal(end, whole_digest(content)))
        return True

    def head(self) -> Head | None:
        """Read how far the index was written; None when it never was."""
        try:
            told = (self.folder / HEAD).read_text(errors="replace")
        except FileNotFoundError:
            return None
        lines, size, last = (*told.split(), "", "", "")[:3]
        if lines.isdecimal() and size.isdecimal():
            head = Head(int(lines), int(size), last)
            if told == head.line:
                return head
        return Head(-1, -1, "")

    @contextmanager
    def _chain(self) -> Iterator[ChainFile]:
        """Open the chain at its end, as the head tells it, and write the head anew."""
        self._made()
        chain = ChainFile(self.path)
        try:
            chain.end = self._end(self.head())
            yield chain
            self._keep(chain.end)
        finally:
            chain.close()

    def _end(self, head: Head | None) -> End:
        """Find the end: from the head where that fits, else from the first line."""
        if head is None or not 0 <= head.size <= self.path.stat().st_size:
            return end_of(self.path.read_bytes())
        with self.path.open("rb") as file:
            file.seek(head.size)
            rest = file.read()
        end = end_of(rest, head.lines, head.last)
        return End(end.lines, head.size + end.size, end.last, end.torn, end.half)

    def _keep(self, end: End) -> None:
        text = Head(end.lines, end.size, end.last).line
        descriptor = os.open(self.folder / HEAD, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, text.encode(), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _made(self) -> None:
        (self.folder / OPEN).mkdir(parents=True, exist_ok=True, mode=0o700)


def seal(end: End, sha256: str) -> Entry:
    """Give what fixes a record as it stands: entries, bytes, SHA-256, digest of its last line."""
    return {"entries": end.lines, "bytes": end.size, "sha256": sha256, "last": end.last}
