"""Where a clone goes on a node, and whether there is room for it beside the old data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runbook.errors import Unreachable
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.postgres.state import Tablespace
from runbook.restore.place import Look, Place, look, tablespace_place, whole_place
from runbook.restore.room import shortage
from runbook.restore.targets import Targets
from runbook.run import current

CLONE = "clone"
"""What the directory in which a clone is made ready is named for."""

_SPARE_WAL = 64 << 20  # written while the clone is taken, and preallocated at its start

_SIZE = """
SELECT pg_catalog.pg_tablespace_size('pg_default') + pg_catalog.pg_tablespace_size('pg_global')
       AS size, current_setting('server_version_num')::int / 10000 AS major
"""
_USED = 'du -scxB1 -- "$@" 2>/dev/null | tail -n 1 | cut -f 1'


@dataclass(frozen=True)
class Source:
    """What a clone takes from the primary: bytes of its data directory, its tablespaces."""

    size: int
    major: int
    tablespaces: tuple[Tablespace, ...]

    @property
    def total(self) -> int:
        """Give the bytes of it all."""
        return self.size + sum(space.size for space in self.tablespaces)


NOTHING = Source(0, 0, ())


def source(primary: Node) -> Source:
    """Ask the primary how much there is to clone."""
    row = primary.ask(_SIZE)[0]
    return Source(int(str(row["size"])), int(str(row["major"])), primary.tablespaces())


def known_source(primary: Node) -> Source:
    """Ask the primary; a plan can be made before it is restored, and then nothing is known."""
    try:
        return source(primary)
    except Unreachable:
        if not current().planning:
            raise
        return NOTHING


def targets(node: Node, taken: Source, mapping: Mapping[str, str]) -> Targets:
    """Find the places of a clone on a node."""
    data = look(node.host, node.directory(), node.os_user)
    wal = look(node.host, data.wal_link, node.os_user) if data.wal_link else None
    spaces = {
        space.oid: tablespace_place(mapping.get(space.location, space.location), taken.major)
        for space in taken.tablespaces
    }
    return Targets(whole_place(data), spaces, whole_place(wal) if wal else None)


def short_of(node: Node, taken: Source, places: Targets, *, without_old: bool) -> str:
    """Say what lacks for the clone on which file system; empty when there is room."""
    by_oid = {space.oid: space.size for space in taken.tablespaces}
    sizes = {place: by_oid[oid] for oid, place in places.tablespaces.items()}
    sizes[places.data] = taken.size
    wal = places.wal or places.data
    sizes[wal] = sizes.get(wal, 0) + _SPARE_WAL
    needs = []
    for place, size in sizes.items():
        freed = _used(node, place) if without_old else 0
        needs.append((look(node.host, place.live, node.os_user), max(0, size - freed)))
    return shortage(needs)


def seen(node: Node) -> Look:
    """Look at the data directory of a node."""
    return look(node.host, node.directory(), node.os_user)


def _used(node: Node, place: Place) -> int:
    argv = ("sh", "-c", _USED, "used", place.live)
    done = node.host.attempt(Command(argv, user=node.os_user, timeout=600))
    return int(done.stdout.strip() or 0)
