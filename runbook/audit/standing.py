"""What the index says of each run: its seals, and whether it has ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from runbook.audit.chain import Entry

_CLOSING = frozenset({"ended", "waiting", "left"})


@dataclass(frozen=True)
class Seal:
    """How a record stood at a moment: entries, bytes, SHA-256, digest of its last line."""

    entries: int
    size: int
    sha256: str
    last: str
    line: int
    """The line of the index that holds it, from 1."""


@dataclass
class Standing:
    """A run, as the index knows it."""

    run: str
    line: int = 0
    seals: list[Seal] = field(default_factory=list)
    closed: bool = False

    def take(self, entry: Entry, line: int) -> None:
        """Take an entry of the index in."""
        self.line = self.line or line
        self.closed = entry["event"] in _CLOSING
        if "sha256" in entry:
            size, entries = entry.get("bytes"), entry.get("entries")
            whole = isinstance(size, int) and isinstance(entries, int)
            self.seals.append(
                Seal(
                    entries if isinstance(entries, int) and whole else -1,
                    size if isinstance(size, int) and whole else -1,
                    str(entry["sha256"]),
                    str(entry.get("last", "")),
                    line,
                )
            )


def standings(entries: Iterable[tuple[int, Entry]]) -> dict[str, Standing]:
    """Collect the runs that an index names; entries come with their lines, from 1."""
    found: dict[str, Standing] = {}
    for line, entry in entries:
        run = entry.get("run")
        if isinstance(run, str):
            found.setdefault(run, Standing(run)).take(entry, line)
    return found
