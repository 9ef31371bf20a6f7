"""Is there room for a second copy beside the first? Asked of every file system it needs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from runbook.restore.place import Look
from runbook.stream.manifest import Manifest
from runbook.units import readable_bytes

_MARGIN = 1.1
_SPARE_WAL = 48 << 20  # what a starting server preallocates
_TABLESPACE = re.compile(r"pg_tblspc/(\d+)/")


def parts(manifest: Manifest) -> tuple[int, dict[int, int], int]:
    """Give the bytes of the data directory, of each tablespace by OID, and of the WAL."""
    base, spaces = 0, dict[int, int]()
    for path, file in manifest.files.items():
        found = _TABLESPACE.match(path)
        if found:
            spaces[int(found[1])] = spaces.get(int(found[1]), 0) + file.size
        else:
            base += file.size
    wal = sum(reach.end - reach.start for reach in manifest.wal_ranges) + _SPARE_WAL
    return base, spaces, wal


def shortage(needs: Sequence[tuple[Look, int]], kept: Mapping[str, int] | None = None) -> str:
    """Say what lacks on which file system; empty when there is room on all of them.

    `kept`: the bytes that must stay free on a file system, by a directory that stands on it.
    """
    devices: dict[str, list[tuple[Look, int]]] = {}
    for seen, size in needs:
        devices.setdefault(seen.device, []).append((seen, size))
    lacking = []
    for wanted in devices.values():
        size = sum(size for _, size in wanted)
        stays = max((kept or {}).get(seen.stands, 0) for seen, _ in wanted)
        needed = max(int(size * _MARGIN), size + stays)
        staged = {seen.real: seen.staged for seen, _ in wanted}
        free = min(seen.free for seen, _ in wanted) + sum(staged.values())
        if free < needed:
            where = ", ".join(sorted(staged))
            told = f", {readable_bytes(stays)} of it for the server that runs" if stays else ""
            lacking.append(
                f"{where}: {readable_bytes(needed)} needed{told}, {readable_bytes(free)} free"
            )
    return "; ".join(lacking)
