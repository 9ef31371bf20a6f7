"""The catalogue: what lies in a store, and which of it is a backup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from runbook.backups.backup import DAMAGED, PREFIX, RECORD, Backup, is_backup_id
from runbook.errors import CheckFailed, Damaged, ObjectMissing, StoreError
from runbook.stores import ObjectInfo, OpenStore
from runbook.watch import log

_BEGUN = ".begun.json"


@dataclass(frozen=True)
class Found:
    """A directory in the store that has a backup's name, or the mark of one that was begun."""

    id: str
    objects: tuple[ObjectInfo, ...]
    begun: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Give the file names in it."""
        return frozenset(info.key.rpartition("/")[2] for info in self.objects)

    @property
    def complete(self) -> bool:
        """Tell whether it has its record."""
        return RECORD in self.names

    @property
    def damaged(self) -> bool:
        """Tell whether a later verification found it damaged."""
        return DAMAGED in self.names

    @property
    def size(self) -> int:
        """Give its bytes in the store."""
        return sum(info.size for info in self.objects)

    def lacks(self, backup: Backup) -> list[str]:
        """Name what is missing of the backup of its record, or has another size."""
        return backup.unlike({info.key.rpartition("/")[2]: info.size for info in self.objects})

    def unsound(self, backup: Backup) -> str:
        """Say why a restore by itself would not take the backup of its record; empty if it would.

        By what the store lists, no byte is read.
        """
        lacks = self.lacks(backup)
        if self.damaged or lacks:
            return "damaged" if self.damaged else f"incomplete: {lacks[0]}"
        return "" if backup.self_contained else "without its WAL"


class Catalogue:
    """The backups of one cluster in one store."""

    def __init__(self, store: OpenStore, folder: str) -> None:
        self.store = store
        self.folder = folder

    def __str__(self) -> str:
        return f"{self.store}/{self.folder}".rstrip("/")

    @property
    def prefix(self) -> str:
        """Give what the keys of this cluster begin with."""
        return f"{self.folder}/" if self.folder else ""

    def key(self, backup_id: str, name: str = "") -> str:
        """Give the key of a file of a backup, or of its directory."""
        return self.prefix + "/".join(part for part in (backup_id, name) if part)

    def found(self) -> tuple[Found, ...]:
        """List every directory with a backup's name, oldest first."""
        grouped: dict[str, list[ObjectInfo]] = {}
        begun = set()
        for info in self.store.list(self.prefix):
            name, _, rest = info.key[len(self.prefix) :].partition("/")
            if not rest and name.endswith(_BEGUN):
                begun.add(name.removesuffix(_BEGUN))
            elif rest and "/" not in rest and is_backup_id(name):
                grouped.setdefault(name, []).append(info)
        names = sorted(set(grouped) | {name for name in begun if is_backup_id(name)})
        return tuple(Found(n, tuple(grouped.get(n, ())), n in begun) for n in names)

    def backups(self) -> tuple[Backup, ...]:
        """List the backups, oldest first. Damaged when a record cannot be read."""
        return tuple(self.get(found.id) for found in self.found() if found.complete)

    def records(self) -> Iterator[tuple[Found, Backup | Damaged]]:
        """List what has a record, with the backup, or with what is wrong with the record."""
        for found in self.found():
            if found.complete:
                try:
                    yield found, self.get(found.id)
                except Damaged as error:
                    yield found, error

    def readable(self) -> Iterator[Backup | Damaged]:
        """List the backups, and for a damaged record what is wrong with it."""
        return (record for _, record in self.records())

    def get(self, backup_id: str) -> Backup:
        """Read one backup's record; CheckFailed when there is none."""
        if not is_backup_id(backup_id):
            raise self._unknown(backup_id, "a backup's name is backup_ and 14 digits")
        try:
            raw = self.store.get(self.key(backup_id, RECORD))
        except ObjectMissing as error:
            present = next((True for _ in self.store.list(self.key(backup_id) + "/")), False)
            seen = "its directory has no backup.json" if present else "nothing has that name"
            raise self._unknown(backup_id, seen) from error
        try:
            backup = Backup.model_validate_json(raw)
        except ValidationError as error:
            raise Damaged(
                f"backup.json of {backup_id} cannot be used", detail=str(error.errors()[:3])
            ) from error
        if backup.id != backup_id:
            raise Damaged(f"backup.json in {backup_id} is that of {backup.id}")
        return backup

    def choose(self, wanted: str, cluster: str, *, even_incomplete: bool = False) -> Backup:
        """Give the backup of that id, or the cluster's newest sound one for "latest".

        `even_incomplete`: for who shall find out, one that has lost files counts, too.
        """
        if wanted != "latest":
            return self.get(wanted)
        listed = [found for found in self.found() if found.complete and not found.damaged]
        backups = [(found, self._get_listed(found.id)) for found in listed]
        whole = [
            backup
            for found, backup in backups
            if backup.cluster == cluster
            and (backup.self_contained if even_incomplete else not found.unsound(backup))
        ]
        if whole:
            return max(whole, key=lambda backup: (backup.finished, backup.id))
        why = [
            f"{found.id} is {found.unsound(backup) or 'sound'}, of {backup.cluster}"
            for found, backup in backups
        ]
        raise CheckFailed(
            f"there is no sound backup of {cluster} in {self}",
            detail="; ".join(why[-5:]) or "no backup there that is not marked as damaged",
            hint="Take one with base-backup, or adopt one made by hand. One of another cluster, or "
            "of this one under an earlier name, is restored by its id, with other_system=true.",
        )

    def of_run(self, run_id: str) -> Backup | None:
        """Give the backup that a run made, if it has."""
        records = (record for record in self.readable() if isinstance(record, Backup))
        return next((backup for backup in records if backup.run_id == run_id), None)

    def before(self, backup: Backup, most: int) -> tuple[Backup, ...]:
        """List the last sound backups of the same database system before one, oldest first."""
        older = [
            found.id
            for found in self.found()
            if found.complete and not found.damaged and found.id < backup.id
        ]
        records: list[Backup] = []
        for backup_id in reversed(older):
            with suppress(Damaged):
                record = self.get(backup_id)
                if record.system_identifier == backup.system_identifier:
                    records.append(record)
            if len(records) == most:
                break
        return tuple(reversed(records))

    def begin(self, backup_id: str, run_id: str) -> None:
        """Mark a backup as begun by a run of ours, before any of it is there."""
        self._mark(backup_id, run_id)

    def enter(self, backup: Backup) -> None:
        """Write the record: from now on it is a backup."""
        text = backup.model_dump_json(indent=2).encode() + b"\n"
        self.store.put(self.key(backup.id, RECORD), text)
        self.store.remove([self.key(backup.id + _BEGUN)])

    def note_verified(self, backup: Backup) -> None:
        """Write into the record that every byte was read again just now, and was sound."""
        now = backup.model_copy(update={"verified": datetime.now(UTC)})
        text = now.model_dump_json(indent=2).encode() + b"\n"
        self.store.put(self.key(backup.id, RECORD), text, overwrite=True)
        self.store.remove([self.key(backup.id, DAMAGED)])

    def mark_damaged(self, backup_id: str, why: str) -> None:
        """Keep a backup from counting as sound; it stays for examination."""
        about = {"at": datetime.now(UTC).isoformat(), "why": why}
        self.store.put(self.key(backup_id, DAMAGED), json.dumps(about).encode(), overwrite=True)

    def leftovers(self) -> tuple[Found, ...]:
        """List what runs of ours began and never finished; nobody else's is among them."""
        return tuple(found for found in self.found() if found.begun and not found.complete)

    def stale_marks(self) -> tuple[Found, ...]:
        """List whole backups that still bear the mark of a run: cut off right after the record."""
        return tuple(found for found in self.found() if found.begun and found.complete)

    def unmark(self, backup_id: str) -> None:
        """Remove the mark of a run from a whole backup."""
        self.store.remove([self.key(backup_id + _BEGUN)])

    def abandoned_uploads(self) -> list[str]:
        """List uploads of backups that were cut off; others write in the folder, too."""
        return self.store.abandoned(f"{self.prefix}{PREFIX}")

    def clear_uploads(self) -> int:
        """Remove what those uploads have left; give their number."""
        return self.store.clear_abandoned(f"{self.prefix}{PREFIX}")

    def remove(self, found: Found) -> None:
        """Remove a whole directory: the record first, so that no half of it looks whole.

        The mark of a run of ours stands until the end: cut off, it is cleared like an unfinished
        backup. A store too full for the mark is emptied without it.
        """
        if not found.begun:
            try:
                self._mark(found.id, "removal")
            except StoreError as error:
                log.warning("%s is removed without a mark: %s", found.id, error.message)
        keys = [info.key for info in found.objects]
        record = self.key(found.id, RECORD)
        if record in keys:
            self.store.remove([record])
        self.store.remove([key for key in keys if key != record])
        self.store.remove([self.key(found.id + _BEGUN)])

    def _mark(self, backup_id: str, run_id: str) -> None:
        about = {"run_id": run_id, "began": datetime.now(UTC).isoformat()}
        self.store.put(self.key(backup_id + _BEGUN), json.dumps(about).encode())

    def _get_listed(self, backup_id: str) -> Backup:
        try:
            return self.get(backup_id)
        except Damaged as error:
            error.hint = "Name a backup instead of latest, and verify or remove this one."
            raise

    def _unknown(self, backup_id: str, seen: str) -> CheckFailed:
        known = [found.id for found in self.found() if found.complete]
        return CheckFailed(
            f"there is no backup {backup_id!r} in {self}",
            detail=f"{seen}; the newest backups are: {', '.join(known[-5:]) or 'none'}",
            hint="List them with `pg-runbooks backups`.",
        )
