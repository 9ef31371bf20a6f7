"""Where the parts of a backup go on a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runbook.restore.place import Place


@dataclass(frozen=True)
class Targets:
    """The data directory, each tablespace by OID, and the WAL where pg_wal is a link."""

    data: Place
    tablespaces: Mapping[int, Place]
    wal: Place | None = None

    def __str__(self) -> str:
        spaces = (f"tablespace {oid} in {place.live}" for oid, place in self.tablespaces.items())
        return "; ".join(spaces)

    def places(self) -> tuple[Place, ...]:
        """Give all places; the data directory last, so that its mark means all of them."""
        wal = (self.wal,) if self.wal else ()
        return (*self.tablespaces.values(), *wal, self.data)

    def incoming(self, backup_id: str) -> tuple[str, ...]:
        """Name every directory that restored data is made ready in."""
        return tuple(place.incoming(backup_id) for place in self.places())

    def directory(self, archive: str, backup_id: str) -> str:
        """Name the directory that an archive is unpacked into."""
        stem = archive.partition(".")[0]
        if stem == "base":
            return self.data.incoming(backup_id)
        if stem == "pg_wal":
            return f"{self.data.incoming(backup_id)}/pg_wal"
        return self.tablespaces[int(stem)].incoming(backup_id)
