"""Archives of an export compared with the platform, and imported where they are new."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from runbook.actions import Action, Work
from runbook.errors import CommandFailed, Damaged
from runbook.platform.archive import Archive, Thing, examined
from runbook.platform.catalogue import ExportCatalogue
from runbook.platform.client import Client
from runbook.platform.export import ArchiveKind, Export, ExportedFile
from runbook.platform.exporting import archive_there
from runbook.run import current
from runbook.tools import apc

State = Literal["new", "same", "different"]
_ABSENT = re.compile(r"not found|not exist", re.IGNORECASE)


@dataclass(frozen=True)
class Importing:
    """Files of an export that shall be in the platform; `into` is another namespace, or empty."""

    client: Client
    catalogue: ExportCatalogue
    kind: ArchiveKind
    export: Export
    files: tuple[ExportedFile, ...]
    into: str = ""

    def source(self, file: ExportedFile) -> Thing:
        """Give the thing of a file, as it was exported."""
        return Thing(self.kind, file.namespace, file.name)

    def target(self, file: ExportedFile) -> Thing:
        """Give the thing that it shall be in the platform."""
        thing = self.source(file)
        return replace(thing, namespace=self.into) if self.into else thing

    def insist_on_whole(self, file: ExportedFile) -> None:
        """Read a file in the store to its end; Damaged unless it is what its record says."""
        found = examined(self._read(file), self.source(file))
        if found != Archive(file.size, file.sha256, file.content):
            raise Damaged(
                f"{file.file} of export {self.export.id} in {self.catalogue} is not what its "
                "record says",
                detail=f"{found.size} bytes with SHA-256 {found.sha256}",
                hint="Name an older version.",
            )

    def state(self, file: ExportedFile) -> State:
        """Ask the platform, by an export that is kept nowhere."""
        try:
            there = archive_there(self.client, self.kind, self.target(file))
        except CommandFailed as error:
            said = error.detail.partition("\n")[2]
            if file.name in said and _ABSENT.search(said):
                return "new"
            raise
        return "same" if there.content == file.content else "different"

    def actions(
        self, files: tuple[ExportedFile, ...], *, skip_existing: bool
    ) -> tuple[Action, ...]:
        """Give what imports some files."""
        host, program = self.client.settings.client, self.client.settings.program
        names = [file.file for file in files]
        argv = apc.take_in(
            program, self.kind, *names, skip_existing=skip_existing, override=bool(self.into)
        )
        target = (program, "namespace", self.into) if self.into else ()
        run_id = current().id
        return (
            *(
                Work(str(host), f"lay ready {file.file}", partial(self._offer, run_id, file))
                for file in files
            ),
            Work(
                str(host),
                self.client.shown(argv, target),
                lambda: self.client.take_in(run_id, argv, self.into),
            ),
        )

    def _offer(self, run_id: str, file: ExportedFile) -> str:
        self.client.offer(run_id, file.file, self._read(file), file.size)
        return f"{file.file} lies ready"

    def _read(self, file: ExportedFile) -> Iterator[bytes]:
        return self.catalogue.store.read(self.catalogue.key(self.export.id, file.file))
