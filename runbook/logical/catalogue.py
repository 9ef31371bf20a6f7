"""The logical backups of a cluster in their store: begun, whole, or to be removed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from runbook.errors import CheckFailed, Damaged
from runbook.logical.metadata import LogicalMetadata
from runbook.logical.names import BackupName
from runbook.logical.parts import StoredParts
from runbook.logical.reading import StoredDump, objects_by_backup, stored_dumps
from runbook.logical.settings import LogicalBackups
from runbook.stores import OpenStore
from runbook.units import readable_bytes


@dataclass(frozen=True)
class Leftover:
    """A backup that bears the mark of a run of ours: cut off, or `whole` and only still marked."""

    name: BackupName
    keys: tuple[str, ...]
    size: int
    whole: bool

    def __str__(self) -> str:
        return f"{self.name} ({readable_bytes(self.size)})"


@dataclass(frozen=True)
class DumpCatalogue:
    """The backups of one guid in an open store."""

    store: OpenStore
    settings: LogicalBackups

    def __str__(self) -> str:
        return f"{self.store}/{self.settings.prefix}{self.settings.guid}-*"

    def key(self, name: str) -> str:
        """Give the key of an object."""
        return self.settings.prefix + name

    def dumps(self) -> tuple[StoredDump, ...]:
        """List the backups, oldest first."""
        return stored_dumps(self.store, self.settings)

    def choose(self, wanted: str) -> StoredDump:
        """Give the backup of that id, or the newest for "latest"; CheckFailed without one."""
        dumps = self.dumps()
        chosen = [dump for dump in dumps if wanted in ("latest", str(dump.name))]
        if chosen:
            return chosen[-1]
        known = ", ".join(str(dump.name) for dump in dumps[-5:])
        raise CheckFailed(
            f"there is no backup {wanted!r} in {self}",
            detail=f"the newest are: {known or 'none'}",
            hint="An id is <guid>-<timestamp>; without its .json a backup is not yet whole.",
        )

    def of_run(self, run_id: str) -> LogicalMetadata | None:
        """Give the record of the backup that a run made, if it has."""
        for dump in reversed(self.dumps()):
            try:
                metadata = dump.metadata
            except Damaged:
                continue
            if metadata is not None and metadata.run_id == run_id:
                return metadata
        return None

    def begin(self, name: BackupName, run_id: str) -> None:
        """Mark a backup as begun by a run of ours, before any of it is there."""
        about = {"run_id": run_id, "began": datetime.now(UTC).isoformat()}
        self.store.put(self.key(name.mark), json.dumps(about).encode())

    def draft(self, name: BackupName, metadata: LogicalMetadata) -> StoredDump:
        """Give a backup that has no record yet, to be read back by what its record will say."""
        mine = objects_by_backup(self.store, self.settings).get(name, [])
        parts = StoredParts(self.store, self.settings.prefix, name, tuple(mine))
        return StoredDump(name, parts, lambda: metadata)

    def enter(self, name: BackupName, metadata: LogicalMetadata) -> None:
        """Write the record: from now on it is a backup."""
        self.store.put(self.key(name.record), metadata.text())
        self.store.remove([self.key(name.mark)])

    def leftovers(self) -> tuple[Leftover, ...]:
        """List what bears the mark of a run of ours; nobody else's is among them."""
        found = []
        for name, mine in sorted(objects_by_backup(self.store, self.settings).items()):
            endings = {seen.ending for seen, _ in mine}
            if ".begun" in endings:
                pieces = [info for seen, info in mine if not seen.ending]
                keys = tuple(info.key for info in pieces)
                size = sum(info.size for info in pieces)
                found.append(Leftover(name, keys, size, ".json" in endings))
        return tuple(found)

    def clear(self, left: Leftover) -> None:
        """Remove what was cut off, its mark last; of a whole backup only the mark."""
        if not left.whole:
            self.store.clear_abandoned(self.key(str(left.name)))
            self.store.remove(left.keys)
        self.store.remove([self.key(left.name.mark)])
