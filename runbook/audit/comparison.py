"""An audit folder held against its copy in a store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from runbook.audit.anchor import FOLDER as ANCHORS
from runbook.audit.chain import Finding
from runbook.audit.index import RunsIndex
from runbook.audit.mirror import Mirror
from runbook.stores import OpenStore


def compared(mirror: Mirror) -> Iterator[Finding]:
    """Find every line that this machine has otherwise, or no more, and what the store lacks."""
    with mirror.open() as store:
        pieces: dict[str, list[str]] = defaultdict(list)
        for info in store.list(f"{mirror.prefix}/"):
            folder, _, _ = info.key.removeprefix(f"{mirror.prefix}/").rpartition("/")
            pieces[folder].append(info.key)
        for folder in sorted(pieces):
            if folder == ANCHORS:
                yield from _anchors(mirror, store, pieces[folder])
            else:
                yield from _file(store, pieces[folder], _local(mirror, folder))
        for path in sorted(mirror.audit.glob("*.jsonl")):
            if f"runs/{path.stem}" not in pieces:
                yield Finding("open", 0, "the store has nothing of it yet", str(path), path.stem)


def _local(mirror: Mirror, folder: str) -> Path:
    if folder.startswith("runs/"):
        return mirror.audit / f"{folder.removeprefix('runs/')}.jsonl"
    return RunsIndex(mirror.audit).path


def _file(store: OpenStore, keys: Sequence[str], path: Path) -> Iterator[Finding]:
    """Compare a file with its pieces, one after the other."""
    if not path.exists():
        text = f"the file is missing here; the store has {len(keys)} pieces of it"
        yield Finding("broken", 0, text, str(path), path.stem)
        return
    line = 0
    with path.open("rb") as file:
        for key in sorted(keys):
            first = key.rpartition("/")[2].removesuffix(".jsonl")
            if first.isdecimal() and int(first) != line:
                text = f"the store lacks lines {line + 1}-{int(first)}"
                yield Finding("broken", line + 1, text, str(path), path.stem)
                return
            there = store.get(key)
            here = file.read(len(there))
            if here != there:
                yield _differs(here, there, line, path)
                return
            line += there.count(b"\n")
        rest = file.read().count(b"\n")
    if rest:
        text = f"{rest} lines are not copied yet"
        yield Finding("open", line + 1, text, str(path), path.stem)


def _differs(here: bytes, there: bytes, line: int, path: Path) -> Finding:
    """Place the first byte that differs."""
    same = next((n for n, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), len(here))
    what = "the line is not what the store has"
    if same == len(here):
        what = "the file ends here; the store has more of it"
    place = line + there.count(b"\n", 0, same) + 1
    return Finding("broken", place, what, str(path), path.stem)


def _anchors(mirror: Mirror, store: OpenStore, keys: Sequence[str]) -> Iterator[Finding]:
    for key in keys:
        path = RunsIndex(mirror.audit).folder / ANCHORS / key.rpartition("/")[2]
        if not path.exists() or path.read_bytes() != store.get(key):
            yield Finding("broken", 0, "the anchor is not what the store has", str(path))
