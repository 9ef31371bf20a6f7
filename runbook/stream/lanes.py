"""Threads with bounded queues: what fails in one stops all and reaches the caller."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType

DEPTH = 8
_PATIENCE = 0.1


class Lane:
    """One thread that does what it is given, in order; at most `DEPTH` pieces of work wait.

    Used as a context: leaving it waits for the work to be done. An error in the lane is raised
    by the next `give`, or on leaving; work given after it is not done.
    """

    def __init__(self, name: str) -> None:
        self._queue: queue.Queue[Callable[[], object] | None] = queue.Queue(DEPTH)
        self._error: BaseException | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def give(self, work: Callable[[], object]) -> None:
        """Queue work; waits while the lane is busy with `DEPTH` pieces already."""
        if self._error is not None:
            raise self._error
        self._queue.put(work)

    def __enter__(self) -> Lane:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped = error is not None
        self._queue.put(None)
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            if self._error is None and not self._stopped:
                try:
                    work()
                except BaseException as error:  # noqa: BLE001 - raised again by give and __exit__
                    self._error = error


class _Closed(Exception):
    """The reader of a pipe went away."""


def piped(produce: Callable[[Callable[[bytes], None]], object]) -> Iterator[bytes]:
    """Yield what `produce(write)` writes in a thread of its own, at most `DEPTH` pieces ahead.

    An error of `produce` is raised here after the pieces written before it. Closing the iterator
    early stops `produce` at its next write.
    """
    pieces: queue.Queue[bytes | BaseException | None] = queue.Queue(DEPTH)
    closed = threading.Event()

    def put(piece: bytes | BaseException | None) -> None:
        while not closed.is_set():
            try:
                return pieces.put(piece, timeout=_PATIENCE)
            except queue.Full:
                continue
        raise _Closed

    def run() -> None:
        try:
            try:
                produce(put)
                put(None)
            except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
                put(error)
        except _Closed:
            return

    thread = threading.Thread(target=run, name="piped", daemon=True)
    thread.start()
    try:
        while (piece := pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        closed.set()
        thread.join()
