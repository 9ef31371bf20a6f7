"""Room that stays free for the server that lives where a copy of data is made."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runbook.errors import CheckFailed, CommandFailed, Unreachable
from runbook.hosts.disk import disks
from runbook.postgres import Node
from runbook.restore.place import Look, look
from runbook.units import readable_bytes

_LEAST = 2 << 30
_SHARE = 10  # of a small file system, no more than a tenth
_EVERY_SECONDS = 5.0

_WAL = """
SELECT max(pg_catalog.pg_size_bytes(current_setting(name))) AS size
FROM pg_catalog.pg_settings WHERE name IN ('max_wal_size', 'wal_keep_size')
"""


@dataclass
class Reserve:
    """Bytes that stay free on each file system, by a directory on it; none where no server lives.

    The server may use half of it while the copy is made: below that, the copy gives way.
    """

    node: Node
    kept: Mapping[str, int]
    _looked: float = field(default=0.0, init=False, compare=False)

    def __str__(self) -> str:
        return ", ".join(f"{readable_bytes(size)} on {path}" for path, size in self.kept.items())

    @property
    def least(self) -> int:
        """Give the bytes below which a copy gives way, of the file system that keeps the most."""
        return max(self.kept.values(), default=0) // 2

    @property
    def told(self) -> str:
        """Tell that this is a part of what a copy needs; empty where nothing is kept."""
        least = self.least
        return f", {readable_bytes(least)} of it for the server that lives there" if least else ""

    def watch(self) -> None:
        """Insist on it, looking only every few seconds."""
        if time.monotonic() - self._looked >= _EVERY_SECONDS:
            self.insist()

    def insist(self) -> None:
        """CheckFailed where the living server comes near the end of a file system."""
        self._looked = time.monotonic()
        if not self.kept:
            return
        found = disks(self.node.host, list(self.kept), user=self.node.os_user)
        lacking = [
            f"{path}: {readable_bytes(found[path].free)} free, {readable_bytes(size)} to be kept"
            for path, size in self.kept.items()
            if found[path].free < size // 2
        ]
        if lacking:
            raise CheckFailed(
                f"the server on {self.node.host} needs the room that the copy beside it takes",
                detail=f"{'; '.join(lacking)}; nothing was stopped, and the copy is removed again",
                hint="Make room there, or let what fills it come to its end, and start again. "
                "Where there is still too little then, it is said what else can be done.",
            )


def reserve_for(node: Node, looks: Sequence[Look]) -> Reserve:
    """Give what the server that runs on a node must find free on each file system it lives on.

    That is what its WAL may take or 2 GiB, the greater; at most a tenth of the file system. One
    that is too damaged to say it, or lets nobody in, writes its WAL none the less.
    """
    try:
        least = max(_LEAST, most_wal(node))
    except (CommandFailed, Unreachable):
        least = _LEAST
    by_device = {seen.device: seen for seen in reversed(looks)}
    kept = {seen.stands: min(least, seen.size // _SHARE) for seen in by_device.values()}
    return Reserve(node, kept)


def reserve_beside(node: Node, folder: str) -> Reserve:
    """Give what its server must find free where a folder lies; nothing where it lives elsewhere.

    Tablespaces count like the data directory, and pg_wal where it is a link.
    """
    host, user = node.host, node.os_user
    data, there = look(host, node.directory(), user), look(host, folder, user)
    others = [space.location for space in node.tablespaces()] + [data.wal_link]
    looks = [data, *(look(host, path, user) for path in filter(None, others))]
    shared = [seen for seen in looks if seen.exists and seen.device == there.device]
    return reserve_for(node, shared) if shared else Reserve(node, {})


def most_wal(node: Node) -> int:
    """Ask the server how many bytes its WAL may take between checkpoints, or for its standbys."""
    return int(str(node.ask(_WAL)[0]["size"]))
