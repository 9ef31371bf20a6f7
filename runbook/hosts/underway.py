"""Commands that are under way for somebody who may have to end them from another thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

from runbook.hosts.process import Process


class Underway:
    """The commands that run at this moment."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: list[Process] = []

    @contextmanager
    def holding(self, process: Process) -> Iterator[None]:
        """Know a command for the time of a block."""
        with self._lock:
            self._running.append(process)
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(process)

    def end(self) -> None:
        """End every command that runs now; whoever waits for one learns that it was ended."""
        with self._lock:
            running = list(self._running)
        for process in running:
            process.kill()


_collector: ContextVar[Underway | None] = ContextVar("underway", default=None)


@contextmanager
def collected(into: Underway | None) -> Iterator[None]:
    """Collect the commands that this context starts in a block."""
    token = _collector.set(into)
    try:
        yield
    finally:
        _collector.reset(token)


@contextmanager
def underway(process: Process) -> Iterator[None]:
    """Let whoever collects commands know this one for the time of a block."""
    collector = _collector.get()
    if collector is None:
        yield
        return
    with collector.holding(process):
        yield
