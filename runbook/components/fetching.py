"""A dump on its way from the store into the primary's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runbook.actions import Action, Work
from runbook.components.catalogue import DumpCatalogue
from runbook.components.dump import BEGUN, DUMP, RECORD, DatabaseDump
from runbook.components.places import Keeper
from runbook.components.uploading import told
from runbook.errors import RunbookError
from runbook.hosts import Command
from runbook.run import current
from runbook.units import readable_bytes
from runbook.watch import log


@dataclass
class Fetching:
    """Copies one dump; its record follows last, and then it is one of the primary's own."""

    dump: DatabaseDump
    vault: DumpCatalogue
    keeper: Keeper
    _begun: bool = field(default=False, init=False)

    @property
    def target(self) -> DumpCatalogue:
        """Give the primary's folder."""
        return self.keeper.catalogue

    def is_there(self) -> bool:
        """Tell whether the dump lies in the primary's folder; a run reads it, a plan does not."""
        there = {dump.id: dump for dump in self.target.sound(self.dump.database)}
        mine = there.get(self.dump.id)
        if mine is None or mine.sha256 != self.dump.sha256:
            return False
        return current().planning or self._summed() == self.dump.sha256

    def actions(self) -> tuple[Action, ...]:
        """Give what a plan shows and a run does."""
        size = readable_bytes(self.dump.size)
        line = f"copy {self.dump.name} ({size}) from {self.vault}, comparing its SHA-256"
        return (Work(str(self.target), line, self._fetch),)

    @contextmanager
    def unfinished_removed(self) -> Iterator[None]:
        """Remove what this has begun when the block does not end well; a plan begins nothing."""
        try:
            yield
        except BaseException:
            try:
                if self._begun:
                    self._clear()
            except RunbookError as error:
                log.warning("the next run clears what was left: %s", error.message)
            raise

    def _fetch(self) -> str:
        database, stamp = self.dump.database, self.dump.id
        aside = self._set_aside()
        self._clear()
        self._begun = True
        self.target.begin(database, stamp, current().id)
        source = self.vault.key(database, stamp, DUMP)
        where = self.target.key(database, stamp, DUMP)
        with self.target.store.upload(where, size_hint=self.dump.size) as upload:
            for piece in told(self.vault.store, source, self.dump, "fetching"):
                upload.write(piece)
            upload.commit()
        self.target.enter(self.dump)
        return f"{self.dump.name} lies in {self.target}{aside}"

    def _path(self, kind: str) -> str:
        key = self.target.key(self.dump.database, self.dump.id, kind)
        return f"{self.keeper.directory}/{key}"

    def _summed(self) -> str:
        node = self.keeper.server.node
        argv = ("sha256sum", "--", self._path(DUMP))
        summed = node.console.run(Command(argv, user=node.server_user, leashed=True))
        return summed.stdout.lstrip("\\")[:64]

    def _set_aside(self) -> str:
        """Rename what lies there and no interrupted run of ours has left; tell what."""
        node, told = self.keeper.server.node, ""
        for files in self.target.found(self.dump.database):
            left = BEGUN in files.objects and RECORD not in files.objects
            if files.id != self.dump.id or left:
                continue
            for kind in sorted({DUMP, RECORD} & set(files.objects)):
                path = self._path(kind)
                kept = f"{path}.aside-{datetime.now(UTC):%Y%m%d%H%M%S}"
                argv = ("mv", "-nT", "--", path, kept)
                node.console.run(Command(argv, user=node.server_user, timeout=60))
                log.warning("%s on %s is not what the store holds: kept as %s", path, node, kept)
                told += f"; what lay there is kept as {kept}"
        return told

    def _clear(self) -> None:
        """Remove what an interrupted run has left of this dump."""
        for files in self.target.leftovers():
            if (files.database, files.id) == (self.dump.database, self.dump.id):
                self.target.remove(files)
        self.target.store.clear_abandoned(self.target.key(self.dump.database, self.dump.id, DUMP))
