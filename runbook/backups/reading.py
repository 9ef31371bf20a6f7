"""Reading a stored backup: every byte held against its manifest, nothing unpacked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from runbook.backups.backup import MANIFEST, Backup, StoredObject
from runbook.backups.catalogue import Catalogue
from runbook.errors import Damaged, ObjectMissing
from runbook.stream.facts import BackupFacts
from runbook.stream.manifest import Manifest
from runbook.stream.stored import CheckedArchive, Forward
from runbook.stream.take import StoredObject as Seen
from runbook.stream.verify import BackupCheck

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Verified:
    """What reading every byte of a backup showed."""

    facts: BackupFacts
    manifest: Manifest
    objects: tuple[StoredObject, ...]
    newest_file: datetime
    """When PostgreSQL wrote the youngest file of it, backup_label included: the backup's time."""


class StoredBackup:
    """The objects of one backup in a store, read against its manifest."""

    def __init__(
        self,
        catalogue: Catalogue,
        backup_id: str,
        names: Sequence[str],
        *,
        expected: Sequence[StoredObject] = (),
    ) -> None:
        self._catalogue = catalogue
        self._id = backup_id
        self._archives = [name for name in names if ".tar" in name]
        self._expected = {item.name: item for item in expected}
        self.raw_manifest = self._manifest_bytes()
        self.manifest = Manifest.parse(self.raw_manifest)
        self._check = BackupCheck(self.manifest)
        self._seen: list[StoredObject] = []
        self._done = 0
        self._total = 0

    def verify(self, tell: Tell) -> Verified:
        """Read all archives; Damaged names everything that is not as the manifest says."""
        for name in self._archives:
            archive = self.archive(name, Forward.NOTHING, tell)
            archive.verify()
            self.read(archive)
        return self.finish()

    def archive(self, name: str, forward: Forward, tell: Tell) -> CheckedArchive:
        """Give one archive as a checked stream of pieces."""
        chunks = self._chunks(name, tell)
        expected = self._expected.get(name)
        seen = Seen(expected.name, expected.size, expected.sha256) if expected else None
        return CheckedArchive(name, chunks, self._check, forward=forward, expected=seen)

    def read(self, archive: CheckedArchive) -> None:
        """Take note that an archive was read to its end."""
        assert archive.seen is not None
        seen = archive.seen
        self._seen.append(StoredObject(name=seen.name, size=seen.size, sha256=seen.sha256))

    def finish(self) -> Verified:
        """Close the check: nothing may be missing."""
        facts = self._check.finish()
        manifest = _described(MANIFEST, self.raw_manifest)
        newest = _newest(self.raw_manifest)
        return Verified(facts, self.manifest, (*self._seen, manifest), newest)

    def _manifest_bytes(self) -> bytes:
        try:
            raw = self._catalogue.store.get(self._catalogue.key(self._id, MANIFEST))
        except ObjectMissing as error:
            raise Damaged(
                f"{self._id} has no backup_manifest",
                detail=f"searched {self._catalogue}/{self._id}",
                hint="pg_basebackup writes it last: this backup was cut off. Use another one.",
            ) from error
        expected = self._expected.get(MANIFEST)
        if expected is not None and _described(MANIFEST, raw) != expected:
            raise Damaged(f"backup_manifest of {self._id} is not the one that was stored")
        return raw

    def _chunks(self, name: str, tell: Tell) -> Iterator[bytes]:
        try:
            for piece in self._catalogue.store.read(self._catalogue.key(self._id, name)):
                self._done += len(piece)
                tell(self._done, self._total)
                yield piece
        except ObjectMissing as error:
            raise Damaged(
                f"{self._id} lacks {name}", hint="Do not restore it. Use another backup."
            ) from error

    def expect_bytes(self, total: int) -> None:
        """Say how many bytes will be read, for progress."""
        self._total = total


def stored_backup(catalogue: Catalogue, backup: Backup) -> StoredBackup:
    """Open a backup of the catalogue; its objects must be exactly those of its record."""
    _insist_on_objects(catalogue, backup)
    opened = StoredBackup(
        catalogue,
        backup.id,
        [item.name for item in backup.archives],
        expected=backup.objects,
    )
    opened.expect_bytes(sum(item.size for item in backup.archives))
    return opened


def _insist_on_objects(catalogue: Catalogue, backup: Backup) -> None:
    """Refuse missing, extra or resized objects before a byte is read."""
    prefix = catalogue.key(backup.id) + "/"
    there = {info.key[len(prefix) :]: info.size for info in catalogue.store.list(prefix)}
    problems = backup.unlike(there)
    recorded = {item.name for item in backup.objects}
    problems += [
        f"{name} does not belong to it"
        for name in sorted(there)
        if ".tar" in name and name not in recorded
    ]
    if problems:
        raise Damaged(
            f"backup {backup.id} is not as its record says",
            detail="; ".join(problems[:10]),
            hint="Do not restore it. Use another backup, and find out what happened to this one.",
        )


def _described(name: str, raw: bytes) -> StoredObject:
    return StoredObject(name=name, size=len(raw), sha256=hashlib.sha256(raw).hexdigest())


def _newest(raw_manifest: bytes) -> datetime:
    times = re.findall(rb'"Last-Modified": "([0-9-]{10} [0-9:]{8}) GMT"', raw_manifest)
    newest = max(times, default=b"1970-01-01 00:00:00").decode()
    return datetime.strptime(newest, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
