"""A stored backup on its way out of the store: nothing is handed on that was not checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from runbook.errors import Damaged
from runbook.stream.codecs import Codec
from runbook.stream.lanes import piped
from runbook.stream.take import StoredObject
from runbook.stream.tar import TarReader
from runbook.stream.verify import BackupCheck


class Forward(StrEnum):
    """What to hand on: nothing (only verify), the bytes as stored, or the tar within."""

    NOTHING = "nothing"
    STORED = "stored"
    DECODED = "decoded"


class CheckedArchive:
    """One archive, checked in a thread of its own while it is read; iterate once.

    Every piece that comes out was decoded, its members found safe to unpack, and files that end
    in it compared with the manifest of `check`. Raises `Damaged` or `Refused` instead of the
    piece at fault. `expected`, from backup.json, is compared at the end.
    """

    def __init__(
        self,
        name: str,
        chunks: Iterable[bytes],
        check: BackupCheck,
        *,
        forward: Forward = Forward.NOTHING,
        expected: StoredObject | None = None,
    ) -> None:
        self._name = name
        self._chunks = chunks
        self._check = check
        self._forward = forward
        self._expected = expected
        self.seen: StoredObject | None = None

    def __iter__(self) -> Iterator[bytes]:
        return piped(self._produce)

    def verify(self) -> StoredObject:
        """Read all of it in this thread, hand on nothing, tell what was read."""
        return self._produce(lambda _: None)

    def _produce(self, write: Callable[[bytes], None]) -> StoredObject:
        tar = TarReader(self._name, self._check.archive(self._name))

        def inspect(piece: bytes) -> None:
            tar.feed(piece)
            if self._forward is Forward.DECODED:
                write(piece)

        decoder = Codec.of(self._name).decoder(inspect, name=self._name)
        digest, size = hashlib.sha256(), 0
        for chunk in self._chunks:
            digest.update(chunk)
            size += len(chunk)
            decoder.feed(chunk)
            if self._forward is Forward.STORED and chunk:
                write(chunk)
        decoder.finish()
        tar.finish()
        self.seen = StoredObject(self._name, size, digest.hexdigest())
        self._compare(self.seen)
        return self.seen

    def _compare(self, seen: StoredObject) -> None:
        if self._expected is not None and seen != self._expected:
            raise Damaged(
                f"object {self._name} is not the one that was stored",
                detail=f"It has {seen.size} bytes, SHA-256 {seen.sha256}; stored were "
                f"{self._expected.size} bytes, SHA-256 {self._expected.sha256}.",
                hint="Use another copy of this backup, or another backup.",
            )
