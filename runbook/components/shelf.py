"""What lies in one place of one database's dumps, seen at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from runbook.components.dump import DUMP, HELD, DatabaseDump
from runbook.stores import ObjectInfo

_HOLDS = timedelta(days=7)
"""How long a dump is held by a run that was killed and never started again."""


@dataclass(frozen=True)
class Files:
    """The files of one dump, by their endings."""

    database: str
    id: str
    objects: dict[str, ObjectInfo]

    @property
    def name(self) -> str:
        """Give their name without the endings."""
        return f"{self.database}-{self.id}"

    @property
    def size(self) -> int:
        """Give their bytes."""
        return sum(info.size for info in self.objects.values())


@dataclass(frozen=True)
class Shelf:
    """The files of a database's dumps, and the dumps whose records can be read; oldest first."""

    found: tuple[Files, ...]
    recorded: tuple[tuple[DatabaseDump, Files], ...]

    @property
    def dumps(self) -> tuple[DatabaseDump, ...]:
        """List the dumps."""
        return tuple(dump for dump, _ in self.recorded)

    @property
    def sound(self) -> tuple[DatabaseDump, ...]:
        """List the dumps whose archive is there in its full size."""
        return tuple(
            dump
            for dump, files in self.recorded
            if DUMP in files.objects and files.objects[DUMP].size == dump.size
        )

    @property
    def held(self) -> dict[str, datetime]:
        """Give the held dumps, and since when; long ago is no longer."""
        now = datetime.now(UTC)
        marks = {one.id: one.objects[HELD] for one in self.found if HELD in one.objects}
        return {
            stamp: mark.modified for stamp, mark in marks.items() if mark.modified > now - _HOLDS
        }

    def of_run(self, run_id: str) -> DatabaseDump | None:
        """Give the dump that a run made, if it has."""
        made = [dump for dump in self.sound if dump.run_id == run_id]
        return made[-1] if made else None
