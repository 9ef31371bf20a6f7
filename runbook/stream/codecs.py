"""Compression of archives: none, gzip, zstd, lz4; pushed through in bounded memory."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol, cast

from isal import igzip_lib, isal_zlib

from runbook.errors import Refused
from runbook.stream.coding import PIECE, Decoder, Encoder, Write, damaged


class Codec(StrEnum):
    """A compression, named as PostgreSQL names it."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    LZ4 = "lz4"

    @property
    def suffix(self) -> str:
        """What pg_basebackup appends to "base.tar"."""
        return _SUFFIXES[self]

    @classmethod
    def of(cls, name: str) -> Codec:
        """Tell the codec from an archive's file name."""
        for codec, suffix in _SUFFIXES.items():
            if suffix and name.endswith(suffix):
                return codec
        if name.endswith(".tar"):
            return cls.NONE
        raise Refused(
            f'"{name}" is not the name of an archive',
            hint=f"Known endings: {', '.join('.tar' + s for s in _SUFFIXES.values())}.",
        )

    def decoder(self, write: Write, *, name: str) -> Decoder:
        """Start decoding; `name` is the archive's, for messages."""
        if self is Codec.NONE:
            return PlainDecoder(write)
        if self is Codec.ZSTD:
            from runbook.stream.zstd import ZstdDecoder

            return ZstdDecoder(write, name)
        return FramedDecoder(self, write, name)

    def encoder(self, *, level: int = 1, threads: int = 1) -> Encoder:
        """Start encoding; gzip knows levels 0 to 3, zstd 1 to 19; only zstd uses threads."""
        if self is Codec.ZSTD:
            from runbook.stream.zstd import ZstdEncoder

            return ZstdEncoder(level, threads)
        if self is Codec.GZIP:
            return GzipEncoder(level)
        if self is Codec.NONE:
            return PlainEncoder()
        raise Refused("lz4 archives are read, not written", hint="Choose zstd, gzip or none.")


_SUFFIXES = {Codec.NONE: "", Codec.GZIP: ".gz", Codec.ZSTD: ".zst", Codec.LZ4: ".lz4"}


class PlainDecoder:
    """No compression: bytes pass as they are."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def feed(self, data: bytes) -> None:
        """Hand the bytes on."""
        if data:
            self._write(data)

    def finish(self) -> None:
        """Do nothing: only the tar within can tell whether it was cut."""


class PlainEncoder:
    """No compression: bytes pass as they are."""

    def feed(self, data: bytes) -> bytes:
        """Return the bytes."""
        return data

    def finish(self) -> bytes:
        """Return nothing."""
        return b""


class _Frame(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


_DECODE_ERRORS = (RuntimeError, cast("type[Exception]", igzip_lib.IsalError))


def _gzip_frame() -> _Frame:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _lz4_frame() -> _Frame:
    import lz4.frame

    frame: _Frame = lz4.frame.LZ4FrameDecompressor()
    return frame


class FramedDecoder:
    """gzip (any number of members, then zero padding) or lz4 (any number of frames)."""

    def __init__(self, codec: Codec, write: Write, name: str) -> None:
        self._padding_allowed = codec is Codec.GZIP
        self._new = _gzip_frame if codec is Codec.GZIP else _lz4_frame
        self._frame = self._new()
        self._begun = False
        self._whole = False
        self._padding = False
        self._write = write
        self._name = name

    def feed(self, data: bytes) -> None:
        """Decode the next bytes; raises `Damaged`."""
        while data:
            if not self._begun and self._whole and self._is_padding(data):
                return
            self._begun = True
            data = self._decode(data)

    def _is_padding(self, data: bytes) -> bool:
        if not self._padding and not (self._padding_allowed and data[0] == 0):
            return False
        if data.strip(b"\0"):
            raise damaged(self._name, "Bytes that are not zero follow its end.")
        self._padding = True
        return True

    def _decode(self, data: bytes) -> bytes:
        self._piece(data)
        while not self._frame.eof and not self._frame.needs_input:
            self._piece(b"")
        if not self._frame.eof:
            return b""
        rest = self._frame.unused_data or b""
        self._frame = self._new()
        self._begun, self._whole = False, True
        return rest

    def _piece(self, data: bytes) -> None:
        try:
            piece = self._frame.decompress(data, PIECE)
        except _DECODE_ERRORS as error:
            raise damaged(self._name, f"The decompressor says: {error}") from error
        if piece:
            self._write(piece)

    def finish(self) -> None:
        """Say that all bytes were fed; raises `Damaged` if the stream was cut."""
        if self._begun or not self._whole:
            raise damaged(self._name, "The compressed stream was cut short.")


class GzipEncoder:
    """gzip through igzip; levels 0 (fastest) to 3."""

    def __init__(self, level: int) -> None:
        self._stream = isal_zlib.compressobj(level, wbits=31)

    def feed(self, data: bytes) -> bytes:
        """Compress the next bytes; may return nothing yet."""
        return bytes(self._stream.compress(data))

    def finish(self) -> bytes:
        """Return the rest of the stream."""
        return bytes(self._stream.flush())
