"""zstd streams of any number of frames.

Ref.: https://github.com/facebook/zstd/blob/dev/doc/zstd_compression_format.md
"""

from __future__ import annotations

import zstandard

from runbook.stream.coding import PIECE, Write, damaged

_MAGIC = 0xFD2FB528
_SKIPPABLE = 0x184D2A50
_RLE = 1


class _Out:
    """The object with a `write` method that zstandard asks for."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(data)
        return len(data)


class Frames:
    """Follows the outer shape of a zstd stream, so that a cut in its very last bytes shows.

    zstandard's bounded-memory writer does not say whether a frame is complete; this does, from
    the sizes of frame and block headers alone.
    """

    def __init__(self) -> None:
        self._held = b""
        self._needed = 4
        self._skip = 0
        self._step = self._magic
        self._checksum = 0
        self.frames = 0

    @property
    def whole(self) -> bool:
        """Whether the bytes so far are one or more complete frames."""
        at_start = self._step == self._magic and not self._held and not self._skip
        return at_start and self.frames > 0

    def feed(self, data: bytes) -> None:
        """Follow the next bytes; raises `ValueError` for what is no zstd."""
        at = 0
        while at < len(data):
            if self._skip:
                taken = min(self._skip, len(data) - at)
                self._skip -= taken
                at += taken
                continue
            piece = data[at : at + self._needed - len(self._held)]
            at += len(piece)
            self._held += piece
            if len(self._held) == self._needed:
                field, self._held = self._held, b""
                self._step(field)

    def _next(self, step: object, needed: int) -> None:
        self._step, self._needed = step, needed  # type: ignore[assignment]

    def _magic(self, field: bytes) -> None:
        magic = int.from_bytes(field, "little")
        if magic == _MAGIC:
            self._next(self._descriptor, 1)
        elif magic & ~0xF == _SKIPPABLE:
            self._next(self._skippable, 4)
        else:
            raise ValueError(f"bytes that are no zstd frame: {field.hex()}")

    def _skippable(self, field: bytes) -> None:
        self._skip = int.from_bytes(field, "little")
        self._next(self._magic, 4)

    def _descriptor(self, field: bytes) -> None:
        flags = field[0]
        single = flags >> 5 & 1
        dictionary = (0, 1, 2, 4)[flags & 3]
        content = (single, 2, 4, 8)[flags >> 6]
        self._checksum = 4 if flags >> 2 & 1 else 0
        self._skip = (1 - single) + dictionary + content
        self._next(self._block, 3)

    def _block(self, field: bytes) -> None:
        header = int.from_bytes(field, "little")
        self._skip = 1 if header >> 1 & 3 == _RLE else header >> 3
        if header & 1:
            self._skip += self._checksum
            self.frames += 1
            self._next(self._magic, 4)


class ZstdDecoder:
    """Decodes in pieces of at most `PIECE` bytes; windows up to 128 MiB, as PostgreSQL's `long`."""

    def __init__(self, write: Write, name: str) -> None:
        self._frames = Frames()
        self._name = name
        context = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        self._stream = context.stream_writer(_Out(write), write_size=PIECE, closefd=False)  # type: ignore[arg-type]

    def feed(self, data: bytes) -> None:
        """Decode the next bytes; raises `Damaged`."""
        try:
            self._frames.feed(data)
        except ValueError as error:
            raise damaged(self._name, f"It holds {error}") from error
        try:
            self._stream.write(data)
        except zstandard.ZstdError as error:
            raise damaged(self._name, f"The decompressor says: {error}") from error

    def finish(self) -> None:
        """Say that all bytes were fed; raises `Damaged` if the stream was cut."""
        if not self._frames.whole:
            raise damaged(self._name, "The compressed stream was cut short.")


class ZstdEncoder:
    """Encodes with a checksum of the content in every frame."""

    def __init__(self, level: int, threads: int) -> None:
        workers = threads if threads > 1 else 0
        context = zstandard.ZstdCompressor(level=level, threads=workers, write_checksum=True)
        self._stream = context.compressobj()

    def feed(self, data: bytes) -> bytes:
        """Compress the next bytes; may return nothing yet."""
        return self._stream.compress(data)

    def finish(self) -> bytes:
        """Return the rest of the stream."""
        return self._stream.flush()
