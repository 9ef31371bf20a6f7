"""The backups of an Orchestrator that lie in a store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from runbook.errors import Damaged
from runbook.orchestrator.backup import BEGUN, RECORD, OrchestratorBackup, key, parsed
from runbook.stores import ObjectInfo, OpenStore
from runbook.watch import log


@dataclass(frozen=True)
class Files:
    """The files of one backup, by their names."""

    id: str
    objects: dict[str, ObjectInfo]

    @property
    def is_whole(self) -> bool:
        """Tell whether the record is there, which is written last."""
        return RECORD in self.objects

    @property
    def size(self) -> int:
        """Give their bytes."""
        return sum(info.size for info in self.objects.values())


@dataclass(frozen=True)
class OrchestratorCatalogue:
    """The backups under a prefix; whatever else lies there is nobody's business."""

    store: OpenStore
    prefix: str

    def __str__(self) -> str:
        return f"{self.store}/{self.prefix}".rstrip("/")

    def key(self, stamp: str, name: str) -> str:
        """Give the key of a backup's file."""
        return self.prefix + key(stamp, name)

    def found(self) -> tuple[Files, ...]:
        """List what has the name of a backup, oldest first."""
        grouped: dict[str, dict[str, ObjectInfo]] = {}
        for info in self.store.list(self.prefix):
            names = parsed(info.key[len(self.prefix) :])
            if names is not None:
                grouped.setdefault(names[0], {})[names[1]] = info
        return tuple(Files(stamp, grouped[stamp]) for stamp in sorted(grouped))

    def backups(self) -> tuple[OrchestratorBackup, ...]:
        """List the backups, oldest first; a record that cannot be read is told."""
        return tuple(backup for backup, _ in self._recorded())

    def sound(self) -> tuple[OrchestratorBackup, ...]:
        """List the backups whose archive is there in its full size, oldest first."""
        return tuple(
            backup
            for backup, files in self._recorded()
            if backup.archive in files.objects and files.objects[backup.archive].size == backup.size
        )

    def of_run(self, run_id: str) -> OrchestratorBackup | None:
        """Give the backup that a run made, if it has."""
        made = [backup for backup in self.sound() if backup.run_id == run_id]
        return made[-1] if made else None

    def begin(self, stamp: str, run_id: str) -> None:
        """Mark a backup as begun by a run of ours, before any of it is there."""
        about = {"run_id": run_id, "began": datetime.now(UTC).isoformat()}
        self.store.put(self.key(stamp, BEGUN), json.dumps(about).encode())

    def enter(self, backup: OrchestratorBackup) -> None:
        """Write the record: from now on it is a backup."""
        text = backup.model_dump_json(indent=2).encode() + b"\n"
        self.store.put(self.key(backup.id, RECORD), text)
        self.store.remove([self.key(backup.id, BEGUN)])

    def leftovers(self) -> tuple[Files, ...]:
        """List what runs of ours began and never finished, or whose mark they left behind."""
        return tuple(files for files in self.found() if BEGUN in files.objects)

    def cut(self) -> tuple[str, ...]:
        """Name the files that were being written when their run ended."""
        return tuple(self.store.abandoned(self.prefix))

    def clear_cut(self) -> int:
        """Remove the files that were being written when their run ended."""
        return self.store.clear_abandoned(self.prefix)

    def remove(self, files: Files) -> None:
        """Remove a backup: its record first; its mark stands until the end."""
        if BEGUN not in files.objects:
            self.begin(files.id, "removal")
        others = [name for name in files.objects if name not in {RECORD, BEGUN}]
        for name in (RECORD, *others, BEGUN):
            self.store.remove([self.key(files.id, name)])

    def clear(self, files: Files) -> None:
        """Remove what is unfinished; a whole backup loses nothing but its run's mark."""
        if files.is_whole:
            self.store.remove([self.key(files.id, BEGUN)])
        else:
            self.remove(files)

    def _recorded(self) -> list[tuple[OrchestratorBackup, Files]]:
        found = []
        for files in self.found():
            if files.is_whole:
                try:
                    found.append((self._record(files), files))
                except Damaged as error:
                    log.warning("%s", error.message)
        return found

    def _record(self, files: Files) -> OrchestratorBackup:
        try:
            backup = OrchestratorBackup.model_validate_json(
                self.store.get(self.key(files.id, RECORD))
            )
        except ValidationError as error:
            raise Damaged(
                f"the record of the Orchestrator's backup {files.id} in {self} cannot be used",
                detail=str([item["loc"] for item in error.errors()[:3]]),
            ) from error
        if backup.id != files.id:
            raise Damaged(f"the record of backup {files.id} in {self} is that of {backup.id}")
        return backup
