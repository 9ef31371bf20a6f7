"""Verification of a whole audit folder: every record against its seals, the index, the anchors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from runbook.audit.chain import Entry, Finding, decoded, digest, is_whole, walk
from runbook.audit.chain_file import is_open
from runbook.audit.index import OPEN, RunsIndex
from runbook.audit.standing import Seal, Standing, standings

_PIECE = 1 << 20


@dataclass(frozen=True)
class Verdict:
    """What a verification found, and how much it read."""

    findings: tuple[Finding, ...]
    runs: int = 0
    entries: int = 0
    size: int = 0

    @property
    def broken(self) -> tuple[Finding, ...]:
        """Give what somebody changed."""
        return tuple(found for found in self.findings if found.level == "broken")


def verified(audit: Path) -> Verdict:
    """Verify every record of a folder, its index, and that neither lacks what the other has."""
    index = RunsIndex(audit)
    verdict = index_verified(audit)
    findings, size, entries = list(verdict.findings), verdict.size, verdict.entries
    known = standings(_numbered(index.path))
    for standing in known.values():
        path = audit / f"{standing.run}.jsonl"
        findings += record_findings(path, standing, marked=index.folder / OPEN / path.stem)
        if path.exists():
            size += path.stat().st_size
            entries += standing.seals[-1].entries if standing.seals else 0
    findings += _strangers(audit, known)
    return Verdict(tuple(findings), len(known), entries, size)


def index_verified(audit: Path) -> Verdict:
    """Verify the index of runs alone, which is enough for what is listed from it."""
    index = RunsIndex(audit)
    content = index.path.read_bytes() if index.path.exists() else b""
    lines = content.split(b"\n")
    findings: list[Finding] = []
    if lines.pop() or not is_whole(lines):
        head = index.head()
        last = head.last if head and head.lines == len(lines) else ""
        findings += [_at(found, index.path) for found in walk(content, last).findings]
    findings += _against_head(index, len(content), lines)
    return Verdict(tuple(findings), 0, len(lines), len(content))


def single_findings(path: Path) -> tuple[Finding, ...]:
    """Verify one record: against its seal where the index lies beside it, else its chain."""
    index = RunsIndex(path.parent)
    known = standings(_numbered(index.path)).get(path.stem)
    if known is not None:
        return tuple(record_findings(path, known, marked=index.folder / OPEN / path.stem))
    text = "no index beside it knows this record: a cut tail or a changed last line is not seen"
    alone = Finding("note", 0, text, str(path), path.stem)
    return (*(_at(found, path) for found in walk(path.read_bytes()).findings), alone)


def record_findings(path: Path, standing: Standing, marked: Path) -> Iterator[Finding]:
    """Hold a record against what the index says of its run."""
    if not path.exists():
        text = f"the record is missing; the index names the run in line {standing.line}"
        yield Finding("broken", 0, text, str(path), standing.run)
        return
    if (standing.closed and not standing.seals) or any(each.size < 0 for each in standing.seals):
        text = f"line {standing.line} of the index and those that follow it seal nothing"
        yield Finding("broken", 0, text, str(path), standing.run)
        return
    size = path.stat().st_size
    wrong = next((seal for seal in standing.seals if not _holds(path, seal)), None)
    if wrong is not None:
        yield from (_at(found, path) for found in _placed(path.read_bytes(), wrong))
    elif standing.closed and size != standing.seals[-1].size:
        line = standing.seals[-1].entries + 1
        yield Finding("broken", line, "entries follow after the record was sealed", str(path))
    elif not standing.closed:
        yield from _open_findings(path, standing, marked)


def _holds(path: Path, seal: Seal) -> bool:
    """Tell whether the first bytes of a record are those that were sealed."""
    summed, left = sha256(), seal.size
    with path.open("rb", buffering=0) as file:
        while left > 0 and (piece := file.read(min(left, _PIECE))):
            summed.update(piece)
            left -= len(piece)
    return left == 0 and summed.hexdigest() == seal.sha256


def _placed(content: bytes, seal: Seal) -> list[Finding]:
    """Find where a record is not what was sealed."""
    longer = seal.size < len(content) and content[seal.size - 1 : seal.size] == b"\n"
    part = content[: seal.size] if longer else content
    seen = walk(part, seal.last)
    found = [
        Finding("broken", each.line, each.what) if each.level == "open" else each
        for each in seen.findings
        if each.level != "note"
    ]
    if found:
        return found
    if seen.lines < seal.entries:
        gone = f"entries {seen.lines}-{seal.entries - 1} were cut off the end"
        return [Finding("broken", seen.lines + 1, gone)]
    if seen.lines > seal.entries:
        return [Finding("broken", seal.entries + 1, "entries were added behind the sealed end")]
    if seen.last != seal.last:
        return [Finding("broken", seen.lines, "the last entry was changed")]
    return [Finding("broken", 0, f"not what line {seal.line} of the index sealed")]


def _open_findings(path: Path, standing: Standing, marked: Path) -> Iterator[Finding]:
    """Look at a record that the index does not close: under way, left, or the index was cut."""
    content = path.read_bytes()
    seen = walk(content)
    yield from (_at(found, path) for found in seen.findings)
    if is_open(path):
        yield Finding("open", 0, "the run is under way", str(path), standing.run)
    elif marked.exists():
        text = "its process died; the next run seals the record as it stands"
        yield Finding("open", seen.lines, text, str(path), standing.run)
    else:
        text = f"the index does not tell its end (line {standing.line}): was the index cut?"
        yield Finding("broken", seen.lines, text, str(path), standing.run)


def _against_head(index: RunsIndex, size: int, lines: Sequence[bytes]) -> Iterator[Finding]:
    head, path, count = index.head(), str(index.path), len(lines)
    if head is None:
        if size:
            yield Finding("broken", 0, "there is no head beside the index", path)
    elif head.lines < 0:
        yield Finding("broken", 0, "the head beside the index was changed", path)
    elif not size:
        yield Finding("broken", 0, f"the index is missing; it had {head.lines} entries", path)
    elif count < head.lines or size < head.size:
        text = f"entries {count}-{head.lines - 1} were cut off the end of the index"
        yield Finding("broken", count + 1, text, path)
    elif head.lines > 0 and digest(lines[head.lines - 1]) != head.last:
        yield Finding("broken", head.lines, "the entry was changed, or the head beside it", path)
    elif size > head.size:
        yield Finding("open", head.lines + 1, "entries follow the head: a crash, or added", path)
    elif size < head.size or head.lines != count:
        yield Finding("broken", 0, "the head beside the index was changed", path)


def _strangers(audit: Path, known: dict[str, Standing]) -> Iterator[Finding]:
    """Name records that no index entry tells of."""
    for path in sorted(audit.glob("*.jsonl")):
        if path.stem not in known:
            with path.open("rb") as file:
                first = decoded(file.readline().rstrip(b"\n"))
            if first and "index" in first:
                text = "the index does not know this record: it was cut or replaced"
                yield Finding("broken", 1, text, str(path), path.stem)
            else:
                text = "from before there was an index: only its own chain can be verified"
                yield Finding("note", 0, text, str(path), path.stem)
                yield from (_at(found, path) for found in walk(path.read_bytes()).findings)


def _numbered(path: Path) -> Iterator[tuple[int, Entry]]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            entry = decoded(line.rstrip(b"\n"))
            if entry is not None:
                yield number, entry


def _at(found: Finding, path: Path) -> Finding:
    return Finding(found.level, found.line, found.what, str(path), path.stem)
