"""Places that are taken in a fixed order, whichever thread asks for its own first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from runbook.run import current

_LOOK_SECONDS = 0.2


class Turns:
    """So many places at a time, for numbers from 0; none is given before those of lower numbers."""

    def __init__(self, places: int) -> None:
        self._changed = Condition()
        self._free, self._next = places, 0

    @contextmanager
    def taken(self, number: int) -> Iterator[None]:
        """Hold the place of a number for a block; Interrupted when the run ends before its turn."""
        while not self._take(number):
            current().go_on()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _take(self, number: int) -> bool:
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_turn_of(number), _LOOK_SECONDS):
                return False
            self._free -= 1
            self._next += 1
            self._changed.notify_all()
            return True

    def _is_turn_of(self, number: int) -> bool:
        return self._free > 0 and self._next == number
