"""The chain: lines of JSON, each holding the SHA-256 of the line before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import orjson

START = "0" * 64
"""What stands in `previous` of a first line."""

TORN = "torn"
"""The event by which a later process says that lines before it were cut by a crash."""

Entry = dict[str, object]
Level = Literal["broken", "open", "note"]


@dataclass(frozen=True)
class Finding:
    """What is wrong, and where: a line counted from 1, or 0 for the file as a whole.

    `broken`: somebody changed it. `open`: a crash, or a run that has not ended. `note`: known.
    """

    level: Level
    line: int
    what: str
    file: str = ""
    run: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{self.level}: {place}: {self.what}" if place else f"{self.level}: {self.what}"


def digest(line: bytes) -> str:
    """Give the SHA-256 of a line, without its line feed."""
    return hashlib.sha256(line).hexdigest()


def encoded(number: int, event: str, fields: Mapping[str, object], previous: str) -> bytes:
    """Write an entry as a line, without its line feed."""
    entry = {
        "number": number,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": event,
        **fields,
        "previous": previous,
    }
    text = json.dumps(entry, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", "replace")


def decoded(line: bytes) -> Entry | None:
    """Read a line; None when it is no entry."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("event"), str) else None


@dataclass(frozen=True)
class Walk:
    """A chain that was walked from its first line: its entries, and what is wrong with it."""

    entries: tuple[Entry, ...]
    findings: tuple[Finding, ...]
    lines: int
    last: str


def walk(content: bytes, last: str = "") -> Walk:
    """Follow a chain and place every break; `last` is the digest that its last line should have."""
    lines = content.split(b"\n")
    tail = lines.pop()
    digests = [START, *map(digest, lines)]
    entries = [decoded(line) for line in lines]
    findings = list(_breaks(entries, digests, last))
    if tail:
        text = f"the line is cut after {len(tail)} bytes: a crash, or somebody cut the file"
        findings.append(Finding("open", len(lines) + 1, text))
    whole = tuple(entry for entry in entries if entry is not None)
    return Walk(whole, tuple(findings), len(lines), digests[-1])


def is_whole(lines: Iterable[bytes]) -> bool:
    """Tell whether lines are one whole chain, without reading what they say."""
    previous = START
    for number, line in enumerate(lines):
        if not line.startswith(b'{"number":%d,' % number):
            return False
        if not line.endswith(b'"previous":"%b"}' % previous.encode()):
            return False
        previous = digest(line)
    return True


def _breaks(
    entries: Sequence[Entry | None], digests: Sequence[str], last: str
) -> Iterable[Finding]:
    torn = _declared(entries)
    shift = 0
    for index, entry in enumerate(entries):
        if entry is None:
            kind: Level = "note" if index in torn else "broken"
            said = "cut by a crash, as a later entry says" if index in torn else "is no entry"
            yield Finding(kind, index + 1, f"the line {said}")
            continue
        number = entry.get("number")
        if number != index + shift:
            yield Finding("broken", index + 1, _misplaced(number, index + shift, entries))
            shift = number - index if isinstance(number, int) else shift
        elif entry.get("previous") != digests[index]:
            yield _unlinked(index, entries, digests, last)


def _declared(entries: Sequence[Entry | None]) -> set[int]:
    """Collect the lines that later entries declare as cut by a crash."""
    found: set[int] = set()
    for index, entry in enumerate(entries):
        lines = entry.get("lines") if entry and entry["event"] == TORN else None
        if isinstance(lines, list):
            found.update(n for n in lines if isinstance(n, int) and n < index)
    return found


def _misplaced(number: object, expected: int, entries: Sequence[Entry | None]) -> str:
    if not isinstance(number, int):
        return "the entry has no number"
    if number < expected:
        return f"entry {number} stands again or too late here, where {expected} belongs"
    elsewhere = any(entry is not None and entry.get("number") == expected for entry in entries)
    if elsewhere:
        return f"entry {number} stands too early here, where {expected} belongs"
    missing = f"entry {expected} is" if number == expected + 1 else f"{expected}-{number - 1} are"
    return f"{missing} missing before entry {number}"


def _unlinked(
    index: int, entries: Sequence[Entry | None], digests: Sequence[str], last: str
) -> Finding:
    """Tell whether the line was changed, or the one before it."""
    follower = entries[index + 1] if index + 1 < len(entries) else None
    wanted = str(follower.get("previous")) if follower else last
    if wanted and wanted != digests[index + 1]:
        return Finding("broken", index + 1, "the entry was changed")
    if index == 0:
        return Finding("broken", 1, "the entry does not begin a chain")
    return Finding("broken", index, "the entry was changed after the next one was written")
