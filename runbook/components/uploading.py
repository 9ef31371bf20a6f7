"""A dump on its way from the primary's folder into the store, and read back from there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from runbook.actions import Action, Work
from runbook.components.catalogue import DumpCatalogue
from runbook.components.dump import DUMP, DatabaseDump
from runbook.errors import Damaged
from runbook.run import current
from runbook.stores import OpenStore
from runbook.units import readable_bytes


@dataclass(frozen=True)
class Uploading:
    """Copies this run's dump of one database, or an `earlier` one that the store lacks."""

    database: str
    source: DumpCatalogue
    vault: DumpCatalogue
    run_id: str
    earlier: DatabaseDump | None = None

    def is_there(self) -> bool:
        """Tell whether the store has it."""
        if self.earlier is None:
            return self.vault.of_run(self.database, self.run_id) is not None
        return self.earlier.id in {dump.id for dump in self.vault.sound(self.database)}

    def actions(self) -> tuple[Action, ...]:
        """Give what a plan shows and a run does."""
        what = f"the dump of {self.database}" if self.earlier is None else self.earlier.name
        line = f"copy {what} to {self.vault}/{self.database}/"
        back = "read it back, compare its SHA-256, then write its record there"
        return (Work(str(self.vault), f"{line}; {back}", self._upload),)

    def _upload(self) -> str:
        dump = self.earlier or self.source.of_run(self.database, self.run_id)
        assert dump is not None
        self._clear(dump)
        self.vault.begin(self.database, dump.id, self.run_id)
        where = self.vault.key(self.database, dump.id, DUMP)
        with self.vault.store.upload(where, size_hint=dump.size) as upload:
            for piece in told(self.source.store, self._source_key(dump), dump, "upload"):
                upload.write(piece)
            upload.commit()
        for _ in told(self.vault.store, where, dump, "reading back"):
            pass
        self.vault.enter(dump)
        return f"{dump.name}: {readable_bytes(dump.size)} in {self.vault}, SHA-256 {dump.sha256}"

    def _source_key(self, dump: DatabaseDump) -> str:
        return self.source.key(self.database, dump.id, DUMP)

    def _clear(self, dump: DatabaseDump) -> None:
        """Remove what an earlier attempt of this very run has left of this dump."""
        for files in self.vault.leftovers():
            if (files.database, files.id) == (dump.database, dump.id):
                self.vault.remove(files)


def told(store: OpenStore, key: str, dump: DatabaseDump, what: str) -> Iterator[bytes]:
    """Give an archive's bytes; Damaged at their end when they are not those of the record."""
    run, summed, size = current(), hashlib.sha256(), 0
    for piece in store.read(key):
        run.go_on()
        summed.update(piece)
        size += len(piece)
        run.progress(f"{what} of {dump.name}", size, dump.size)
        yield piece
    if (size, summed.hexdigest()) != (dump.size, dump.sha256):
        raise Damaged(
            f"{dump.name} in {store} is not what its record says",
            detail=f"{size} bytes with SHA-256 {summed.hexdigest()}; "
            f"the record: {dump.size} bytes with {dump.sha256}",
            hint="Its disk or the way between is damaged. Start the runbook again for a new dump.",
        )
