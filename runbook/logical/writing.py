"""The way of a dump into a store: gzip, cipher, parts; nothing of it is kept anywhere else."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol, Self

from pydantic import SecretStr

from runbook.logical import age, openssl
from runbook.logical.metadata import StoredPart
from runbook.logical.names import BackupName
from runbook.logical.settings import LogicalBackups
from runbook.stores import OpenStore, Upload
from runbook.stream.codecs import GzipEncoder


class Encryptor(Protocol):
    """Takes bytes, gives encrypted ones."""

    def feed(self, data: bytes) -> bytes:
        """Encrypt the next bytes; may give nothing yet."""

    def finish(self) -> bytes:
        """Give the rest of the stream."""

    def close(self) -> None:
        """Let go of a stream that was not finished."""


def encryptor(settings: LogicalBackups, key: SecretStr) -> Encryptor:
    """Begin a stream in the format of the settings."""
    if settings.format == "age":
        return age.Encryptor(key, settings.key)
    return openssl.Encryptor(key)


class PartsWriter:
    """Cuts a stream into objects of a store; `limit` 0: one object, as the page has it on Azure.

    `written` are those that are whole. Left with an error, the part at hand never comes into
    being; those before it stay, for whoever began the backup to remove.
    """

    def __init__(self, store: OpenStore, prefix: str, name: BackupName, limit: int) -> None:
        self._store = store
        self._prefix = prefix
        self._name = name
        self._limit = limit
        self._open = ExitStack()
        self._upload: Upload | None = None
        self._digest = hashlib.sha256()
        self._size = 0
        self.written: list[StoredPart] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def write(self, data: bytes) -> None:
        """Write the next bytes."""
        view = memoryview(data)
        while view:
            if self._upload is None:
                key = self._prefix + self._part
                self._upload = self._open.enter_context(self._store.upload(key))
            piece = view[: self._limit - self._size] if self._limit else view
            self._digest.update(piece)
            self._upload.write(piece)
            self._size += len(piece)
            view = view[len(piece) :]
            if self._size == self._limit:
                self.finish()

    def finish(self) -> None:
        """Make the part at hand whole."""
        if self._upload is None:
            return
        self._upload.commit()
        self._open.close()
        self.written.append(
            StoredPart(name=self._part, size=self._size, sha256=self._digest.hexdigest())
        )
        self._upload, self._digest, self._size = None, hashlib.sha256(), 0

    @property
    def _part(self) -> str:
        return self._name.part(len(self.written)) if self._limit else str(self._name)


class DumpWriter:
    """Compresses and encrypts a dump on its way into the parts; tells size and SHA-256 of it."""

    def __init__(self, parts: PartsWriter, cipher: Encryptor) -> None:
        self._parts = parts
        self._cipher = cipher
        self._gzip = GzipEncoder(1)
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Give the SHA-256 of the plain dump so far."""
        return self._digest.hexdigest()

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the dump."""
        self._digest.update(piece)
        self.size += len(piece)
        self._parts.write(self._cipher.feed(self._gzip.feed(piece)))

    def finish(self) -> None:
        """Say that this was all, and make the last part whole."""
        self._parts.write(self._cipher.feed(self._gzip.finish()))
        self._parts.write(self._cipher.finish())
        self._parts.finish()
