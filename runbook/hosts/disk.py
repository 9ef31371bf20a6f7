"""Room on the file systems of a host."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runbook.errors import CommandFailed
from runbook.hosts.command import Command
from runbook.hosts.host import Host

_ROW = re.compile(r"\s(\d+)\s+(\d+)\s+(\d+)\s+(?:\d+%|-)\s+(/.*)$")


@dataclass(frozen=True)
class Disk:
    """A file system: where it is mounted, and its bytes as df counts them."""

    mount: str
    used: int
    free: int

    @property
    def percent_used(self) -> float:
        """Give the share in use of what the database's user may use."""
        return 100 * self.used / max(1, self.used + self.free)


def disks(host: Host, paths: Sequence[str], *, user: str) -> dict[str, Disk]:
    """Give the file system that each path lies on, links followed.

    Ref.: df(1), -P
    """
    command = Command(("df", "-P", "-B1", "--", *paths), user=user, timeout=60)
    rows = host.run(command).stdout.splitlines()[1:]
    matches = [_ROW.search(row) for row in rows]
    if len(matches) != len(paths) or None in matches:
        raise CommandFailed(
            f"{host}: df gave an answer that cannot be read", detail="\n".join(rows)
        )
    found = [Disk(m[4], int(m[2]), int(m[3])) for m in matches if m is not None]
    return dict(zip(paths, found, strict=True))
