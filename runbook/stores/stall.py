"""Ending a command through which no byte moves any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self, TypeVar

from runbook.hosts.process import Process

T = TypeVar("T")


class StallWatch:
    """Ends a process when one read or write takes too long; time between them does not count."""

    def __init__(self, process: Process, seconds: float) -> None:
        self._process = process
        self._seconds = seconds
        self._since = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.stalled = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def moving(self, transfer: Callable[[], T]) -> T:
        """Do a read or a write, watched."""
        self._since = time.monotonic()
        try:
            return transfer()
        finally:
            self._since = 0.0

    def _watch(self) -> None:
        while not self._over.wait(self._seconds / 4):
            since = self._since
            if since and time.monotonic() - since > self._seconds:
                self.stalled = True
                self._process.kill()
                return
