"""What encoders and decoders are: fed with bytes, a piece at a time, in bounded memory.

Decoders hand on what they decode in pieces of at most `PIECE` bytes, whatever the input claims,
and know whether a stream ended where it should. Feed 128 KiB to 4 MiB at a time: the interpreter
lock is free while the libraries work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from runbook.errors import Damaged

PIECE = 256 << 10
Write = Callable[[bytes], object]


class Decoder(Protocol):
    """Takes compressed bytes, calls `write` with decoded ones."""

    def feed(self, data: bytes) -> None:
        """Decode the next bytes; raises `Damaged`."""

    def finish(self) -> None:
        """Say that all bytes were fed; raises `Damaged` if the stream was cut."""


class Encoder(Protocol):
    """Takes bytes, returns compressed ones."""

    def feed(self, data: bytes) -> bytes:
        """Compress the next bytes; may return nothing yet."""

    def finish(self) -> bytes:
        """Return the rest of the stream."""


def damaged(name: str, detail: str) -> Damaged:
    """Say that the compressed form of archive `name` is broken."""
    return Damaged(
        f"archive {name} cannot be decompressed",
        detail=detail,
        hint="Use another copy of this backup, or another backup.",
    )
