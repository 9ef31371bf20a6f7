"""The record of one run: on disk before the next thing happens, sealed in the index of runs."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from runbook.audit.chain import Entry, decoded, walk
from runbook.audit.chain_file import ChainFile, is_open
from runbook.audit.index import RunsIndex, seal
from runbook.audit.summary import Summary
from runbook.errors import Damaged

_SEALS = {"waiting": "waiting", "end": "ended"}


class AuditTrail:
    """Writes the record of one run; every entry is on disk before the next thing happens.

    Each line holds the SHA-256 of the line before it. A run that was interrupted or has waited
    goes on in the same file. `start`, `waiting` and `end` are entered in the index, too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._index = RunsIndex(path.parent)
        self._lock = Lock()
        self._chain = ChainFile(path)
        self._summary = Summary.of(walk(self._chain.resume()).entries)

    def write(self, event: str, **fields: object) -> None:
        """Append one entry and wait until it is on disk."""
        with self._lock:
            if event == "start":
                fields = {**fields, "index": self._begin(fields)}
            self._summary.take(self._chain.append(event, fields))
            if event in _SEALS:
                self._index.sealed(
                    _SEALS[event], self.path.stem, self._summary.told(), self._seal()
                )

    @property
    def waits(self) -> bool:
        """Tell whether the run waits for a person, as far as its record says."""
        return self._summary.outcome == "waiting"

    def close(self) -> None:
        """Close the file."""
        self._chain.close()

    def _begin(self, fields: Entry) -> Entry:
        found = self._seal() if self._chain.end.size else {}
        told = {k: v for k, v in fields.items() if k not in ("run", "parameters")}
        return self._index.began(self.path.stem, told, found)

    def _seal(self) -> Entry:
        return seal(self._chain.end, self._chain.sha256)


def end_unanswered(path: Path, why: str) -> bool:
    """End the record of a run that waits and never comes back; False where it does not wait here.

    Only for a run that nothing can start again by itself: its own process would write that.
    """
    if not ends_waiting(path) or is_open(path):
        return False
    trail = AuditTrail(path)
    try:
        if trail.waits:
            trail.write("end", outcome="NotAnswered", error=why)
            return True
        return False
    finally:
        trail.close()


def ends_waiting(path: Path) -> bool:
    """Tell whether the last entry of a record, where there is one, waits for a person."""
    last = path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2] if path.exists() else b""
    return (decoded(last) or {}).get("event") == "waiting"


def read_trail(path: Path) -> list[Entry]:
    """Read and verify a record; Damaged names the first line that is not as it was written."""
    seen = walk(path.read_bytes())
    wrong = [found for found in seen.findings if found.level != "note"]
    if not wrong:
        return list(seen.entries)
    first = min(wrong, key=lambda found: found.line)
    if first.level == "open":
        raise Damaged(
            f"{path}: the record is cut in line {first.line}",
            detail=f"{seen.lines} whole lines stand before it",
            hint="The host stopped while this entry was written; what it was about may have begun.",
        )
    raise Damaged(
        f"{path}: the record is broken at line {first.line}",
        detail="\n".join(f"line {found.line}: {found.what}" for found in wrong[:5]),
        hint="Compare with the copy in the audit store: pg-runbooks audit verify --against STORE",
    )
