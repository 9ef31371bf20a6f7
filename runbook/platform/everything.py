"""Everything of a platform in one file, on its way into a store; the client may refuse it."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runbook.actions import Action, Work
from runbook.errors import CommandFailed, Damaged
from runbook.platform.archive import Archive, Thing, examined_all
from runbook.platform.client import ClientFailed
from runbook.platform.export import ExportedFile
from runbook.platform.exporting import Entering, passing
from runbook.tools import apc
from runbook.units import readable_bytes

_FILE = "all.cntmp"
"""How it is kept: the page does not say how the client names it."""


@dataclass
class Everything(Entering):
    """One export of everything; `refused` is what the client said when it made none."""

    things: tuple[Thing, ...]
    refused: CommandFailed | None = field(default=None, init=False)

    def actions(self) -> tuple[Action, ...]:
        """Give what a plan shows and a run does."""
        argv = apc.export_all(self.client.settings.program)
        host = str(self.client.settings.client)
        return (Work(host, self.client.shown(argv), self._export), self.entering)

    def _export(self) -> str:
        key = self._key(_FILE)
        try:
            with self.catalogue.store.upload(key) as upload:
                came = self._only_archive(upload.write)
                upload.commit()
        except ClientFailed as error:
            self._insist_on_refusal(error)
            self.refused = error
            self.catalogue.remove(self._stamp)
            return f"refused: {error.message} {error.detail}"
        back = examined_all(self.catalogue.store.read(key), self.things)
        if back != came:
            raise Damaged(
                f"{_FILE} in {self.catalogue} is not what was written there",
                detail=f"{back.size} bytes, SHA-256 {back.sha256}; written: {came.sha256}",
            )
        self._files.append(
            ExportedFile(
                file=_FILE,
                name="all",
                size=back.size,
                sha256=back.sha256,
                content=back.content,
                verified=datetime.now(UTC),
            )
        )
        return f"everything: {readable_bytes(back.size)}, SHA-256 {back.sha256}"

    def _insist_on_refusal(self, error: ClientFailed) -> None:
        """Raise another failure than the one that the page tells a way around."""
        refusal, said = self.client.settings.refusal, error.detail.partition("\n")[2]
        if not re.search(refusal, said, re.IGNORECASE):
            raise CommandFailed(
                error.message,
                detail=error.detail,
                hint="Remove the cause and start the runbook again. It was not taken for a refusal "
                f"to export everything, for that is told by {refusal!r} (exports.refusal).",
            ) from error

    def _enter(self) -> str:
        return "there is nothing to enter" if self.refused else super()._enter()

    def _only_archive(self, write: Callable[[bytes], object]) -> Archive:
        argv = apc.export_all(self.client.settings.program)
        found: list[Archive] = []
        with closing(self.client.exported(argv)) as files:
            for name, file in files:
                if not name.endswith(".cntmp") or found:
                    raise Damaged(
                        f"the export of everything holds {name}",
                        hint="It should be one .cntmp file and nothing else.",
                    )
                found.append(examined_all(passing(file, write), self.things))
        if not found:
            raise Damaged("the export of everything is empty", hint="The client said it was done.")
        return found[0]
