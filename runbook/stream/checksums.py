"""The checksums a backup_manifest may carry, at memory speed."""

from __future__ import annotations

import hashlib
from typing import Protocol

import google_crc32c

ALGORITHMS = {"NONE": 0, "CRC32C": 4, "SHA224": 28, "SHA256": 32, "SHA384": 48, "SHA512": 64}
"""Names as in the manifest, with the length of the checksum in bytes."""


class Checksum(Protocol):
    """A running checksum."""

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""

    def hexdigest(self) -> str:
        """Return the checksum of all bytes taken in, as the manifest writes it."""


class Crc32c:
    """CRC-32C as PostgreSQL writes it into a manifest: the four bytes in memory order."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        """Take in more bytes."""
        self._value = google_crc32c.extend(self._value, data)

    def hexdigest(self) -> str:
        """Return eight hexadecimal digits, least significant byte first."""
        return self._value.to_bytes(4, "little").hex()


class NoChecksum:
    """The checksum of `--manifest-checksums=NONE`: sizes are all there is to compare."""

    def update(self, data: bytes, /) -> None:
        """Ignore the bytes."""

    def hexdigest(self) -> str:
        """Return the empty checksum."""
        return ""


def checksum(algorithm: str) -> Checksum:
    """Start a checksum; `algorithm` is one of `ALGORITHMS`."""
    if algorithm == "CRC32C":
        return Crc32c()
    if algorithm == "NONE":
        return NoChecksum()
    return hashlib.new(algorithm.lower(), usedforsecurity=False)
