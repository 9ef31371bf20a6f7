"""Packages or jobs on their way from the platform into a store, read back from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import IO

from runbook.actions import Action, Work
from runbook.errors import Damaged, RunbookError
from runbook.platform.archive import Archive, Thing, examined
from runbook.platform.catalogue import ExportCatalogue
from runbook.platform.client import Client
from runbook.platform.export import ArchiveKind, ExportedFile
from runbook.run import current
from runbook.tools import apc
from runbook.units import readable_bytes
from runbook.watch import log

_CHUNK = 1 << 20


@dataclass
class Entering:
    """An export on its way; its id is given with its first file, its record is written last."""

    client: Client
    catalogue: ExportCatalogue
    run_id: str
    _stamp: str = field(default="", init=False)
    _files: list[ExportedFile] = field(default_factory=list, init=False)

    @contextmanager
    def unfinished_removed(self) -> Iterator[None]:
        """Remove what was begun when the block does not end well, whatever ends it."""
        try:
            yield
        except BaseException:
            try:
                if self._stamp and self._stamp in self.catalogue.leftovers():
                    self.catalogue.remove(self._stamp)
            except RunbookError as error:
                log.warning("%s stays behind, the next run clears it: %s", self._stamp, error)
            raise

    @property
    def entering(self) -> Action:
        """Give what makes it an export."""
        where = str(self.catalogue)
        return Work(where, f"write {where}/<YYYYmmddHHMMSS>/export.json", self._enter)

    def _key(self, file: str) -> str:
        self._stamp = self._stamp or self.catalogue.begin(self.run_id)
        return self.catalogue.key(self._stamp, file)

    def _enter(self) -> str:
        export = self.catalogue.enter(self._stamp, self._files, self.run_id)
        return f"entered as {export.id}"


@dataclass
class Exporting(Entering):
    """One export of several things of a kind."""

    kind: ArchiveKind
    things: tuple[Thing, ...]

    def actions(self) -> tuple[Action, ...]:
        """Give what a plan shows and a run does."""
        host = str(self.client.settings.client)
        exports = [
            Work(host, _shown(self.client, self.kind, thing), partial(self._export, thing))
            for thing in self.things
        ]
        return (*exports, self.entering)

    def _export(self, thing: Thing) -> str:
        key = self._key(thing.file)
        with self.catalogue.store.upload(key) as upload:
            came = _only_archive(self.client, self.kind, thing, upload.write)
            upload.commit()
        back = examined(self.catalogue.store.read(key), thing)
        if back != came:
            raise Damaged(
                f"{thing.file} in {self.catalogue} is not what was written there",
                detail=f"{back.size} bytes, SHA-256 {back.sha256}; written: {came.sha256}",
            )
        self._files.append(
            ExportedFile(
                file=thing.file,
                name=thing.name,
                namespace=thing.namespace,
                size=back.size,
                sha256=back.sha256,
                content=back.content,
                verified=datetime.now(UTC),
            )
        )
        return f"{thing}: {readable_bytes(back.size)}, SHA-256 {back.sha256}"


def archive_there(client: Client, kind: ArchiveKind, thing: Thing) -> Archive:
    """Read what the platform has of a thing; CommandFailed when it has none."""
    return _only_archive(client, kind, thing, lambda _: None)


def _shown(client: Client, kind: ArchiveKind, thing: Thing) -> str:
    program = client.settings.program
    target = apc.target(program, thing.namespace)
    return client.shown(apc.export(program, kind, thing.name), target)


def _only_archive(
    client: Client, kind: ArchiveKind, thing: Thing, write: Callable[[bytes], object]
) -> Archive:
    argv = apc.export(client.settings.program, kind, thing.name)
    found: list[Archive] = []
    with closing(client.exported(argv, thing.namespace)) as files:
        for name, file in files:
            if name != f"{thing.name}.cntmp" or found:
                raise Damaged(
                    f"the export of {thing} holds {name}",
                    hint=f"It should be {thing.name}.cntmp and nothing else.",
                )
            found.append(examined(passing(file, write), thing))
    if not found:
        raise Damaged(f"the export of {thing} holds nothing", hint="The client said it was done.")
    return found[0]


def passing(file: IO[bytes], write: Callable[[bytes], object]) -> Iterator[bytes]:
    """Give the pieces of a file, each written on its way, until the run is ended from outside."""
    run = current()
    while piece := file.read(_CHUNK):
        run.go_on()
        write(piece)
        yield piece
