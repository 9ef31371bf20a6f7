"""The dumps that lie in one place: a folder of a server, or a store."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import ValidationError

from runbook.components.dump import BEGUN, DUMP, HELD, RECORD, DatabaseDump, key, parsed
from runbook.components.shelf import Files, Shelf
from runbook.errors import CheckFailed, Damaged
from runbook.stores import ObjectInfo, OpenStore
from runbook.watch import log


@dataclass
class DumpCatalogue:
    """The dumps of some databases in one place; whatever else lies there is nobody's business."""

    store: OpenStore
    prefix: str
    databases: Collection[str]
    _read: dict[tuple[str, int, datetime], DatabaseDump] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.store}/{self.prefix}".rstrip("/")

    def key(self, database: str, stamp: str, kind: str) -> str:
        """Give the key of a dump's file."""
        return self.prefix + key(database, stamp, kind)

    def found(self, database: str) -> tuple[Files, ...]:
        """List what has the name of a dump of a database, oldest first."""
        grouped: dict[str, dict[str, ObjectInfo]] = {}
        for info in self.store.list(f"{self.prefix}{database}/"):
            names = parsed(info.key[len(self.prefix) :])
            if names is not None and names[0] == database:
                grouped.setdefault(names[1], {})[names[2]] = info
        return tuple(Files(database, stamp, grouped[stamp]) for stamp in sorted(grouped))

    def look(self, database: str) -> Shelf:
        """Look at the dumps of a database; a record that cannot be read is told."""
        found = self.found(database)
        return Shelf(found, tuple(self._recorded(found)))

    def shelves(self) -> dict[str, Shelf]:
        """Look at the dumps of every database."""
        return {database: self.look(database) for database in self.databases}

    def sound(self, database: str) -> tuple[DatabaseDump, ...]:
        """List the dumps whose archive is there in its full size, oldest first."""
        return self.look(database).sound

    def of_run(self, database: str, run_id: str) -> DatabaseDump | None:
        """Give the dump of a database that a run made, if it has."""
        return self.look(database).of_run(run_id)

    def get(self, database: str, stamp: str) -> DatabaseDump:
        """Give one dump; CheckFailed when there is none, Damaged when its record is unreadable."""
        files = {one.id: one for one in self.found(database)}
        whole = [stamp for stamp, one in files.items() if RECORD in one.objects]
        if stamp not in whole:
            raise CheckFailed(
                f"there is no dump {stamp!r} of {database} in {self}",
                detail=f"the newest are: {', '.join(whole[-5:]) or 'none'}",
                hint="Name one of these, or latest.",
            )
        return self._record(files[stamp])

    def begin(self, database: str, stamp: str, run_id: str) -> None:
        """Mark a dump as begun by a run of ours, before any of it is there."""
        about = {"run_id": run_id, "began": datetime.now(UTC).isoformat()}
        self.store.put(self.key(database, stamp, BEGUN), json.dumps(about).encode())

    def enter(self, dump: DatabaseDump) -> None:
        """Write the record: from now on it is a dump."""
        text = dump.model_dump_json(indent=2).encode() + b"\n"
        self.store.put(self.key(dump.database, dump.id, RECORD), text)
        self.store.remove([self.key(dump.database, dump.id, BEGUN)])

    def hold(self, database: str, stamp: str, run_id: str) -> None:
        """Mark a dump as chosen by a run: retention passes it over."""
        names = {*self.holders(database, stamp), run_id}
        text = "\n".join(sorted(names)).encode()
        self.store.put(self.key(database, stamp, HELD), text, overwrite=True)

    def holders(self, database: str, stamp: str) -> tuple[str, ...]:
        """Name the runs that hold a dump."""
        wanted = self.key(database, stamp, HELD)
        there = [info.key for info in self.store.list(f"{self.prefix}{database}/")]
        return tuple(self.store.get(wanted).decode().split()) if wanted in there else ()

    def release(self, database: str, stamp: str, run_id: str = "") -> None:
        """Take a run's mark away, or everybody's."""
        others = [name for name in self.holders(database, stamp) if run_id and name != run_id]
        wanted = self.key(database, stamp, HELD)
        if others:
            self.store.put(wanted, "\n".join(others).encode(), overwrite=True)
        else:
            self.store.remove([wanted])

    def leftovers(self) -> tuple[Files, ...]:
        """List what runs of ours began and never finished, or whose mark they left behind."""
        return tuple(
            files
            for database in self.databases
            for files in self.found(database)
            if BEGUN in files.objects
        )

    def cut(self) -> tuple[str, ...]:
        """Name the files that were being written when their run ended."""
        parts = [self.store.abandoned(f"{self.prefix}{name}/") for name in self.databases]
        return tuple(part for found in parts for part in found)

    def clear_cut(self) -> int:
        """Remove the files that were being written when their run ended."""
        parts = (f"{self.prefix}{name}/" for name in self.databases)
        return sum(self.store.clear_abandoned(part) for part in parts)

    def remove(self, files: Files) -> None:
        """Remove a dump: its record first; its mark stands until the end. A whole one stays."""
        if BEGUN not in files.objects:
            self.begin(files.database, files.id, "removal")
        for kind in (RECORD, DUMP, HELD, BEGUN):
            self.store.remove([self.key(files.database, files.id, kind)])

    def unmark(self, files: Files) -> None:
        """Remove the mark from a dump that has its record."""
        self.store.remove([self.key(files.database, files.id, BEGUN)])

    def _recorded(self, found: Sequence[Files]) -> Iterator[tuple[DatabaseDump, Files]]:
        for files in found:
            if RECORD in files.objects:
                try:
                    yield self._record(files), files
                except Damaged as error:
                    log.warning("%s", error.message)

    def _record(self, files: Files) -> DatabaseDump:
        info = files.objects[RECORD]
        known = (info.key, info.size, info.modified)
        if known not in self._read:
            self._read[known] = self._parsed(files, self.store.get(info.key))
        return self._read[known]

    def _parsed(self, files: Files, raw: bytes) -> DatabaseDump:
        try:
            dump = DatabaseDump.model_validate_json(raw)
        except ValidationError as error:
            raise Damaged(
                f"the record of {files.name} in {self} cannot be used",
                detail=str(error.errors()[:3]),
            ) from error
        if (dump.database, dump.id) != (files.database, files.id):
            raise Damaged(f"the record of {files.name} in {self} is that of {dump.name}")
        return dump
