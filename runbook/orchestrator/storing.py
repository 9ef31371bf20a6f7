"""An archive of the Orchestrator on its way into the store: verified, read back, entered last."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from runbook.actions import Action, Work
from runbook.components.properties import properties
from runbook.errors import Damaged
from runbook.orchestrator.archive import Contents, Passing, damaged, read_through
from runbook.orchestrator.backup import RECORD, OrchestratorBackup
from runbook.orchestrator.dump_reading import dump_text
from runbook.orchestrator.dump_text import DumpText
from runbook.orchestrator.making import Making
from runbook.orchestrator.places import Places
from runbook.run import current
from runbook.stores import OpenStore
from runbook.stores.store import Upload
from runbook.units import readable_bytes


@dataclass(frozen=True)
class _Dump:
    """The dump in an archive: the member, and the tables that it makes."""

    member: str
    tables: int


@dataclass(frozen=True)
class Storing:
    """Copies what was made into the store."""

    places: Places
    making: Making

    def actions(self) -> tuple[Action, ...]:
        """Give what a plan shows and a run does."""
        vault = self.places.vault
        line = (
            f"copy the archive to {vault}/<id>/, read gzip, tar, dump and configuration to their "
            f"last byte; read it back, compare its SHA-256, then write {RECORD}"
        )
        return (Work(str(vault), line, self._store),)

    def _store(self) -> str:
        places, making = self.places, self.making
        expected = places.live.tables()
        places.vault.begin(making.stamp, making.run_id)
        where = places.vault.key(making.stamp, making.archive)
        source = places.workshop.key(making.run_id, making.archive)
        size = places.workshop.folder.head(source).size
        with places.vault.store.upload(where, size_hint=size) as upload:
            passing = Passing(_passed(self._pieces(source, size), upload))
            contents = read_through(passing)
            dump = self._dump(contents, expected)
            configuration = contents.configuration(places.live.settings.config)
            upload.commit()
        read_back(places.vault.store, where, passing.size, passing.sha256)
        backup = self._record(passing, contents, dump, configuration)
        places.vault.enter(backup)
        return f"{backup.archive}: {readable_bytes(backup.size)}, SHA-256 {backup.sha256}"

    def _pieces(self, source: str, size: int) -> Iterator[bytes]:
        run, done = current(), 0
        for piece in self.places.workshop.folder.read(source):
            run.go_on()
            done += len(piece)
            run.progress(f"copy of {self.making.archive}", done, size)
            yield piece

    def _dump(self, contents: Contents, expected: int) -> _Dump:
        """Give the dump with the most tables; Damaged unless every dump is whole."""
        texts = contents.plain | {name: self._as_text(name) for name in contents.custom}
        cut = sorted(name for name, text in texts.items() if not text.is_whole)
        if cut:
            raise damaged(f"the dump {', '.join(cut)} has no end", contents)
        if not texts:
            raise damaged("it holds no dump of the database", contents)
        member = max(texts, key=lambda name: texts[name].tables)
        found = _Dump(member, texts[member].tables)
        if expected and not found.tables:
            raise damaged(f"its dump makes no table; the database has {expected}", contents)
        return found

    def _as_text(self, member: str) -> DumpText:
        path = f"{self.making.folder}/{self.making.archive}"
        return dump_text(self.places.live, path, member)

    def _record(
        self, passing: Passing, contents: Contents, dump: _Dump, configuration: str
    ) -> OrchestratorBackup:
        live, making, now = self.places.live, self.making, datetime.now(UTC)
        seen = live.identity
        return OrchestratorBackup(
            id=making.stamp,
            way=making.way,
            cluster=live.cluster.name,
            node=live.node.name,
            archive=making.archive,
            size=passing.size,
            sha256=passing.sha256,
            members=tuple(contents.members),
            dump=dump.member,
            configuration=configuration,
            tables=dump.tables,
            release=contents.release,
            database=live.settings.database,
            database_size=live.sizes[live.settings.database],
            properties=properties(live.node, live.settings.database),
            server_version=seen.version_text,
            server_major=seen.major,
            system_identifier=seen.system_identifier,
            began=making.began,
            finished=now,
            verified=now,
            seconds=round((now - making.began).total_seconds(), 3),
            run_id=making.run_id,
        )


def read_back(store: OpenStore, key: str, size: int, sha256: str) -> None:
    """Read an object to its last byte; Damaged unless it is what was written."""
    run, summed, done = current(), hashlib.sha256(), 0
    for piece in store.read(key):
        run.go_on()
        summed.update(piece)
        done += len(piece)
    if (done, summed.hexdigest()) != (size, sha256):
        raise Damaged(
            f"{key} in {store} is not what was written there",
            detail=f"{done} bytes with SHA-256 {summed.hexdigest()}; "
            f"written were {size} with {sha256}",
            hint="The store, its disk or the way to it is damaged. Start the runbook again.",
        )


def _passed(pieces: Iterator[bytes], upload: Upload) -> Iterator[bytes]:
    for piece in pieces:
        upload.write(piece)
        yield piece
