"""The stored parts of one backup in their order, held against the record where there is one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from runbook.errors import Damaged, ObjectMissing
from runbook.logical.metadata import LogicalMetadata, StoredPart
from runbook.logical.names import BackupName, Named
from runbook.stores import ObjectInfo, OpenStore

_ELSEWHERE = "Get it from another copy of the store, or use another backup."


@dataclass
class StoredParts:
    """The objects of a stream among those of a backup; `at` tells which one is being read."""

    store: OpenStore
    folder: str
    name: BackupName
    listed: tuple[tuple[Named, ObjectInfo], ...]
    at: str = field(default="", init=False)

    @property
    def objects(self) -> tuple[tuple[Named, ObjectInfo], ...]:
        """Give them without the record and marks."""
        return tuple((seen, info) for seen, info in self.listed if not seen.ending)

    @property
    def size(self) -> int:
        """Give the bytes stored."""
        return sum(info.size for _, info in self.objects)

    def bytes(self, metadata: LogicalMetadata | None) -> Iterator[bytes]:
        """Give the whole stream; Damaged for a part that is missing, too much or not the same."""
        ordered = self._ordered()
        expected = self._expected(ordered, metadata) if metadata else {}
        for info in ordered:
            self.at = self._file(info)
            digest = hashlib.sha256()
            with self._there():
                for piece in self.store.read(info.key):
                    if expected:
                        digest.update(piece)
                    yield piece
            if expected:
                self._compare(digest.hexdigest(), expected)

    @contextmanager
    def _there(self) -> Iterator[None]:
        try:
            yield
        except ObjectMissing as error:
            raise self._damaged(
                f"{self.at} was listed, and is not there: {error.message}"
            ) from error

    def _ordered(self) -> list[ObjectInfo]:
        """Sort by number, and insist on one form and on no gap that one can see."""
        whole = [info for seen, info in self.objects if not seen.index]
        parts = sorted((int(seen.index), info.key) for seen, info in self.objects if seen.index)
        numbers = [number for number, _ in parts]
        if not self.objects:
            raise self._damaged("nothing of it is stored but its record")
        if whole and parts:
            raise self._damaged(f"it is there as one object and in {len(parts)} parts")
        twice = sorted({number for number in numbers if numbers.count(number) > 1})
        if twice:
            raise self._damaged(f"part {twice[0]} is there twice")
        first = numbers[0] if numbers and numbers[0] in (0, 1) else 0
        missing = sorted(set(range(first, first + len(numbers))) - set(numbers))
        if missing:
            raise self._damaged(f"part {missing[0]} is missing")
        found = {info.key: info for _, info in self.objects}
        return whole or [found[key] for _, key in parts]

    def _expected(
        self, ordered: list[ObjectInfo], metadata: LogicalMetadata
    ) -> dict[str, StoredPart]:
        expected = {part.name: part for part in metadata.parts}
        found = {self._file(info): info for info in ordered}
        for name, part in expected.items():
            if name not in found:
                raise self._damaged(f"{name} is missing: its record has {len(expected)} parts")
            if found[name].size != part.size:
                raise self._damaged(f"{name} has {found[name].size} bytes, stored were {part.size}")
        surplus = sorted(set(found) - set(expected))
        if surplus:
            raise self._damaged(f"{surplus[0]} is not in its record: {len(expected)} parts")
        return expected

    def _compare(self, sha256: str, expected: dict[str, StoredPart]) -> None:
        if sha256 == expected[self.at].sha256:
            return
        other = next((part.name for part in expected.values() if part.sha256 == sha256), "")
        seen = f"{self.at} is not what was stored: its SHA-256 is {sha256}"
        raise self._damaged(f"{self.at} has the bytes of {other}: swapped" if other else seen)

    def _file(self, info: ObjectInfo) -> str:
        return info.key[len(self.folder) :]

    def _damaged(self, seen: str) -> Damaged:
        return Damaged(f"backup {self.name} is not whole", detail=seen, hint=_ELSEWHERE)
