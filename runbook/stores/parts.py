"""A stream of unknown length in parts, in bounded memory.

Three buffers: two on their way, one being filled. A part is as long as the first ones until they
would be too many; from there on it grows with the offset, and is soon kept in an unlinked file.
"""

from __future__ import annotations

import io
import tempfile
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import IO, Generic, Protocol, Self, TypeVar

from runbook.errors import RunbookError, StoreError
from runbook.units import readable_bytes
from runbook.watch import log

T = TypeVar("T")

PART_BYTES = 16 << 20
MOST_IN_MEMORY = 32 << 20
LARGEST_OBJECT = 5 << 40
_AT_ONCE = 2
_PARTS_PER_OFFSET = 1500
_MEGABYTE = 1 << 20


def part_size(offset: int) -> int:
    """Give the length of the part at an offset; 10,000 parts reach 5 TiB, none is over 5 GiB."""
    grown = offset // _PARTS_PER_OFFSET // _MEGABYTE * _MEGABYTE
    return max(PART_BYTES, grown)


class Parts(Generic[T]):
    """Cuts a stream into parts and sends them from two threads.

    `send(number, body)` stores part `number`, from 0, and gives what `finish` hands back in order;
    `body` may be read several times, from its beginning.
    """

    def __init__(self, send: Callable[[int, IO[bytes]], T]) -> None:
        self._send = send
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="upload")
        self._flying: deque[Future[tuple[T, IO[bytes]]]] = deque()
        self._stored: list[T] = []
        self._buffer: IO[bytes] = io.BytesIO()
        self._filled = 0
        self._limit = part_size(0)
        self._number = 0
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes; raises what went wrong with earlier ones."""
        for future in self._flying:
            if future.done():
                future.result()
        view = memoryview(data).cast("B")
        while view:
            if self._filled == self._limit:
                self._ship()
            piece = view[: self._limit - self._filled]
            self._keep(piece)
            view = view[len(piece) :]

    @property
    def any_sent(self) -> bool:
        """Tell whether a part is on its way or stored."""
        return self._number > 0

    def whole(self) -> bytes:
        """Give the whole stream, while none of it was sent."""
        self._buffer.seek(0)
        return self._buffer.read(self._filled)

    def finish(self) -> list[T]:
        """Send what is left and give what the store said of each part."""
        if self._filled:
            self._ship()
        while self._flying:
            self._land().close()
        return self._stored

    def close(self) -> None:
        """Wait until no part is on its way any more; parts that wait are not sent."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._buffer.close()

    def _keep(self, piece: memoryview) -> None:
        try:
            self._buffer.write(piece)
        except OSError as error:
            raise StoreError(
                f"no room for a part of {self._limit} bytes in {tempfile.gettempdir()}",
                detail=error.strerror or str(error),
                hint="Parts of very large objects wait there; TMPDIR names another folder.",
            ) from error
        self._filled += len(piece)
        self.size += len(piece)

    def _ship(self) -> None:
        spare = self._land() if len(self._flying) == _AT_ONCE else io.BytesIO()
        self._buffer.truncate(self._filled)
        self._flying.append(self._pool.submit(self._one, self._number, self._buffer))
        self._number += 1
        self._filled = 0
        self._limit = part_size(self.size)
        self._buffer = _emptied(spare, self._limit)

    def _one(self, number: int, body: IO[bytes]) -> tuple[T, IO[bytes]]:
        body.seek(0)
        return self._send(number, body), body

    def _land(self) -> IO[bytes]:
        answer, buffer = self._flying.popleft().result()
        self._stored.append(answer)
        return buffer


class Sink(Protocol[T]):
    """An object of a store on its way in."""

    def put(self, data: bytes) -> None:
        """Write the whole object at once; never over another one."""

    def send(self, number: int, body: IO[bytes]) -> T:
        """Store part `number`, from 0; called from several threads."""

    def complete(self, parts: list[T]) -> None:
        """Make the object of its parts; never over another one."""

    def abort(self) -> None:
        """Take back all parts."""


class PartsUpload(Generic[T]):
    """An upload in parts. Left without `commit`, nothing of it stays."""

    def __init__(self, sink: Sink[T], size_hint: int = 0) -> None:
        if size_hint > LARGEST_OBJECT:
            raise StoreError(
                f"{readable_bytes(size_hint)} are more than a store takes as one object",
                detail=f"the limit is {readable_bytes(LARGEST_OBJECT)}",
                hint="Use compression, or a store that is a folder.",
            )
        self._sink = sink
        self._parts = Parts(sink.send)
        self._committed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._parts.close()
        if self._parts.any_sent and not self._committed:
            self._abort()

    def write(self, data: bytes | memoryview, /) -> None:
        """Store the next bytes; raises what went wrong with earlier ones."""
        self._parts.write(data)

    def commit(self) -> None:
        """Make the object whole and listed."""
        if self._parts.any_sent:
            self._sink.complete(self._parts.finish())
        else:
            self._sink.put(self._parts.whole())
        self._committed = True

    def _abort(self) -> None:
        try:
            self._sink.abort()
        except RunbookError as error:  # must not hide why the upload was left
            log.warning("the next run has to clear what an upload has left: %s", error)


def _emptied(spare: IO[bytes], size: int) -> IO[bytes]:
    """Give a buffer for the next part: memory for usual sizes, a file for larger ones."""
    if size <= MOST_IN_MEMORY or not isinstance(spare, io.BytesIO):
        spare.seek(0)
        return spare
    spare.close()
    return tempfile.TemporaryFile(prefix="pg-runbooks-part-")
