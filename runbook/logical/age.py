"""The form of age(1): encrypted in chunks that cannot be changed, moved or cut unnoticed.

The key is an identity as age-keygen makes it, AGE-SECRET-KEY-1...; by hand: age -d -i FILE.

Ref.: https://age-encryption.org/v1
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import SecretStr

from runbook.errors import Damaged, RunbookError, SettingsError

if TYPE_CHECKING:
    from pyrage.x25519 import Identity

MAGIC = b"age-encryption.org/v1\n"
CIPHER = "ChaCha20-Poly1305 in chunks of 64 KiB (age)"
KDF = "X25519 and HKDF-SHA-256 (age)"
_PIECE = 256 << 10
_DEPTH = 4


class NoIdentity(RunbookError):
    """None of the keys opens a stream."""


def identity(key: SecretStr, label: str) -> Identity:
    """Read a key; SettingsError when it is none of age's."""
    from pyrage import IdentityError
    from pyrage.x25519 import Identity

    try:
        return Identity.from_str(key.get_secret_value().strip())
    except IdentityError as error:
        raise SettingsError(
            f"key {label!r} of encryption_keys is no identity of age",
            detail="format: age needs one that begins with AGE-SECRET-KEY-1",
            hint="Make one with age-keygen, keep it safe, and refer to it in encryption_keys.",
        ) from error


class Encryptor:
    """Encrypts a stream; the library pulls, so it works in a thread of its own."""

    def __init__(self, key: SecretStr, label: str) -> None:
        self._recipient = identity(key, label).to_public()
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_DEPTH)
        self._made: deque[bytes] = deque()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="age", daemon=True)
        self._thread.start()

    def feed(self, data: bytes) -> bytes:
        """Encrypt the next bytes; whole chunks come out, some later."""
        if data:
            self._pieces.put(data)
        return self._drained()

    def finish(self) -> bytes:
        """Give the rest."""
        self.close()
        if self._error is not None:
            raise self._error
        return self._drained()

    def close(self) -> None:
        """End the thread."""
        if self._thread.is_alive():
            self._pieces.put(None)
            self._thread.join()

    def _drained(self) -> bytes:
        return b"".join(self._made.popleft() for _ in range(len(self._made)))

    def _run(self) -> None:
        from pyrage import encrypt_io

        source, sink = _Source(iter(self._pieces.get, None)), _Sink(self._made.append)
        try:
            encrypt_io(source, sink, [self._recipient])
            sink.flush()
        except Exception as error:  # noqa: BLE001 - raised again by finish
            self._error = error
            for _ in source.rest():
                continue


def decrypted(
    stored: Iterator[bytes],
    keys: Mapping[str, SecretStr],
    name: str,
    write: Callable[[bytes], None],
) -> None:
    """Decrypt a whole stream; NoIdentity when no key opens it, Damaged for any change."""
    from pyrage import DecryptError, decrypt_io

    known = [_known(key, label) for label, key in keys.items()]
    source, sink = _Source(stored), _Sink(write)
    try:
        decrypt_io(source, sink, [one for one in known if one is not None])
        sink.flush()
    except (DecryptError, OSError) as error:
        if source.failed is not None:
            raise source.failed from error
        if "No matching keys" in str(error):
            raise NoIdentity(f"no key opens {name}") from error
        raise Damaged(
            f"the encrypted stream of {name} is damaged",
            detail=f"age says: {error}; after {source.given} bytes",
            hint="Get its parts from another copy of the store, or use another backup.",
        ) from error


def _known(key: SecretStr, label: str) -> Identity | None:
    try:
        return identity(key, label)
    except SettingsError:
        return None


class _Source:
    """Pieces as the file that the library reads."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")
        self.given = 0
        self.failed: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        """Give at most so many bytes; what goes wrong is kept, the library hides it."""
        try:
            while not self._left:
                piece = next(self._pieces, None)
                if piece is None:
                    return b""
                self._left = memoryview(piece)
        except Exception as error:
            self.failed = error
            raise
        size = len(self._left) if size < 0 else size
        part, self._left = self._left[:size], self._left[size:]
        self.given += len(part)
        return bytes(part)

    def rest(self) -> Iterator[bytes]:
        """Give what nobody has read."""
        return self._pieces


class _Sink:
    """A file whose small pieces are joined to larger ones."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._kept = bytearray()

    def write(self, data: bytes) -> int:
        """Take bytes."""
        self._kept += data
        if len(self._kept) >= _PIECE:
            self.flush()
        return len(data)

    def flush(self) -> None:
        """Hand on what was kept."""
        if self._kept:
            kept, self._kept = bytes(self._kept), bytearray()
            self._write(kept)
