"""The SQL text in a decrypted stream: inflated, and whole by its last line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runbook.errors import Damaged
from runbook.logical.metadata import LogicalMetadata
from runbook.stream.codecs import Codec

FOOTER = re.compile(rb"(?:\A|\n)-- PostgreSQL database cluster dump complete\n--\n+\Z")
_TAIL = 4096
_ELSEWHERE = "Use another copy of this backup, or another backup."


class Text:
    """Takes decrypted pieces, writes the SQL text; `reading` names the part that is being read.

    Damaged unless gzip and the dump are whole.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[bytes], None],
        reading: Callable[[], str],
        metadata: LogicalMetadata | None,
    ) -> None:
        self._name = name
        self._write = write
        self._reading = reading
        self._metadata = metadata
        self._gunzip = Codec.GZIP.decoder(self._take, name=name)
        self._size = 0
        self._tail = b""

    def feed(self, piece: bytes) -> None:
        """Inflate the next bytes."""
        with self._told():
            self._gunzip.feed(piece)

    def finish(self) -> None:
        """Say that this was all."""
        with self._told():
            self._gunzip.finish()
        if self._metadata is not None and self._size != self._metadata.dump_size:
            raise Damaged(
                f"the dump in {self._name} has {self._size} bytes",
                detail=f"its record says {self._metadata.dump_size}",
                hint=_ELSEWHERE,
            )
        if FOOTER.search(self._tail) is None:
            raise Damaged(
                f"the dump in {self._name} is not whole",
                detail='its last line is not "-- PostgreSQL database cluster dump complete": '
                "pg_dumpall was cut off, and nobody noticed",
                hint="Use another backup: this one lacks what came after.",
            )

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        self._tail = (self._tail + piece[-_TAIL:])[-_TAIL:]
        self._write(piece)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Damaged as error:
            raise Damaged(
                f"the dump in {self._name} cannot be decompressed",
                detail=f"{error.detail} Seen while {self._reading()} was read: it, or a part "
                "before it, is changed, missing, cut or out of order.",
                hint=_ELSEWHERE,
            ) from error
