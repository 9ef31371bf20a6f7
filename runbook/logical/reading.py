"""Logical backups in their store, whoever wrote them, and the SQL text within."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain

from pydantic import SecretStr

from runbook.errors import Damaged
from runbook.logical import age, openssl
from runbook.logical.keys import key_of, no_key_told
from runbook.logical.metadata import LogicalMetadata, read_metadata
from runbook.logical.names import BackupName, Named, named
from runbook.logical.parts import StoredParts
from runbook.logical.settings import LogicalBackups
from runbook.logical.text import Text
from runbook.stores import ObjectInfo, OpenStore
from runbook.stream.lanes import piped

_HEAD = 64
_Write = Callable[[bytes], None]


@dataclass(frozen=True)
class StoredDump:
    """One backup in its store, in whichever format and layout."""

    name: BackupName
    parts: StoredParts
    record: Callable[[], LogicalMetadata | None]

    @property
    def size(self) -> int:
        """Give the bytes of its parts in the store."""
        return self.parts.size

    @cached_property
    def metadata(self) -> LogicalMetadata | None:
        """Give what our own record says; None for one that the a9s agent wrote."""
        return self.record()

    def plain(self, keys: Mapping[str, SecretStr]) -> Iterator[bytes]:
        """Give the SQL text. It is whole and sound only when this has come to its end.

        Until then every fault raises: Damaged for parts, cipher, gzip and a dump without its
        end, CheckFailed when no key opens it, a store's own errors.
        """
        return piped(partial(self._read, keys))

    def _read(self, keys: Mapping[str, SecretStr], write: _Write) -> None:
        sql = Text(str(self.name), write, lambda: self.parts.at, self.metadata)
        try:
            for piece in piped(partial(self._open, keys)):
                sql.feed(piece)
            sql.finish()
        except Damaged:
            self._find_the_part()
            raise

    def _find_the_part(self) -> None:
        """Read all parts again; by their record, the one at fault is told instead."""
        if self.metadata is not None:
            for _ in self.parts.bytes(self.metadata):
                continue

    def _open(self, keys: Mapping[str, SecretStr], write: _Write) -> None:
        name, stored = str(self.name), self.parts.bytes(self.metadata)
        head = b""
        for piece in stored:
            head += piece
            if len(head) >= _HEAD:
                break
        whole = chain((head,), stored)
        if head.startswith(openssl.MAGIC):
            key = key_of(head, keys, name, self.metadata)
            for piece in openssl.decrypted(whole, key, name):
                write(piece)
        elif head.startswith(age.MAGIC):
            with no_key_told(name, keys, self.metadata):
                age.decrypted(whole, keys, name, write)
        else:
            raise _unknown_format(self.name, head)


def stored_dumps(store: OpenStore, settings: LogicalBackups) -> tuple[StoredDump, ...]:
    """List the backups of exactly this guid, oldest first; none that is still being uploaded."""
    found = objects_by_backup(store, settings)
    return tuple(
        StoredDump(name, StoredParts(store, settings.prefix, name, tuple(mine)), record)
        for name, mine in sorted(found.items())
        if (record := _record(store, name, mine)) is not None
    )


def objects_by_backup(
    store: OpenStore, settings: LogicalBackups
) -> dict[BackupName, list[tuple[Named, ObjectInfo]]]:
    """List everything in the store that bears a name of this guid."""
    found: dict[BackupName, list[tuple[Named, ObjectInfo]]] = {}
    for info in store.list(f"{settings.prefix}{settings.guid}-"):
        seen = named(info.key[len(settings.prefix) :], settings.guid)
        if seen is not None:
            found.setdefault(seen.backup, []).append((seen, info))
    return found


def _record(
    store: OpenStore,
    name: BackupName,
    mine: list[tuple[Named, ObjectInfo]],
) -> Callable[[], LogicalMetadata | None] | None:
    for seen, info in mine:
        if seen.ending == ".json":
            return lambda: read_metadata(store.get(info.key), str(name))
    return None


def _unknown_format(name: BackupName, head: bytes) -> Damaged:
    return Damaged(
        f"{name} is in no format that is known",
        detail=f"it begins with {head[:12]!r}, neither as openssl enc nor as age",
        hint="Is its first part missing, or is it not encrypted at all?",
    )
