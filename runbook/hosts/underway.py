"""Commands that are under way for somebody who may have to end them from another thread."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

from runbook.hosts.process import Process


class Underway:
    """The commands that run at this moment."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: list[_Held] = []

    @contextmanager
    def holding(self, process: Process, leash: float) -> Iterator[None]:
        """Know a command for a block; its leash ends it within so many seconds (0: it has none)."""
        held = _Held(process, leash)
        with self._lock:
            self._running.append(held)
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(held)

    def end(self) -> None:
        """End every command that runs now; whoever waits for one learns that it was ended.

        To be called until they have come back: a leashed one has really ended then.
        """
        with self._lock:
            running = list(self._running)
        for held in running:
            held.end()


class _Held:
    """A command, and since when it is to end."""

    def __init__(self, process: Process, leash: float) -> None:
        self._process, self._leash = process, leash
        self._since: float | None = None

    def end(self) -> None:
        """Let its leash end it; cut it off when it has none, or when its time is over."""
        if self._since is None:
            self._since = time.monotonic()
        if time.monotonic() - self._since < self._leash:
            self._process.close_stdin()
        else:
            self._process.kill()


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
def underway(process: Process, leash: float = 0.0) -> Iterator[None]:
    """Let whoever collects commands know this one, and its leash, for the time of a block."""
    collector = _collector.get()
    if collector is None:
        yield
        return
    with collector.holding(process, leash):
        yield
