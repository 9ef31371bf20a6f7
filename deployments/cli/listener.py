"""Hears a run of the server to its end, every log line once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from deployments.orders import Standing, Told
from deployments.orders import follow as follow_run

_LATE_SECONDS = 2.5
_LOOK_SECONDS = 0.5

# What Prefect says of itself; the steps of the runbook say more.
_NOISE = ("Worker '", "Downloading flow code", "Finished in state", "Suspending flow")
_ENGINE = "Engine execution exited with unexpected exception"


class Listener:
    """Passes every log line of a run on, once, also over several questions of one run."""

    def __init__(self, tell: Callable[[Told], None]) -> None:
        self._tell = tell
        self._passed = 0
        self._heard = 0
        self._said: set[str] = set()

    def follow(self, run: UUID, *, until_waiting: bool = True) -> Standing:
        """Listen until the run ends or asks; its last lines arrive a moment after its state."""
        now = self._look(run, until_waiting)
        until, before = time.monotonic() + _LATE_SECONDS, self._passed
        while time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
            passed = self._passed
            now = self._look(run, until_waiting)
            if self._passed == passed > before:
                break
        return replace(now, is_told=now.message in self._said)

    def _look(self, run: UUID, until_waiting: bool) -> Standing:
        self._heard = 0
        return follow_run(run, self._hear, until_waiting=until_waiting)

    def _hear(self, line: Told) -> None:
        self._heard += 1
        if self._heard > self._passed:
            self._passed = self._heard
            if not _is_noise(line.text):
                self._said.add(line.text)
                self._tell(line)


def _is_noise(text: str) -> bool:
    """Tell whether a line adds nothing; a traceback that Prefect makes of a state does not."""
    return text.startswith(_NOISE) or (text.startswith(_ENGINE) and "FailedRun: " in text)
