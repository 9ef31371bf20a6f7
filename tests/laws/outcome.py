"""Where a run is made to die, and how it ended."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runbook.plan import Plan


@dataclass(frozen=True)
class Point:
    """A moment of a run, and the signal that the process then sends to itself.

    After the step `step`; or before its nth action (from 1); or when a transfer of the step has
    come half way. With SIGSTOP it halts there: see `Running.halted`.
    """

    step: str
    action: int = 0
    transfer: bool = False
    signal: signal.Signals = signal.SIGKILL

    def __str__(self) -> str:
        name = self.signal.name.removeprefix("SIG").lower()
        if self.transfer:
            return f"{name} in the transfer of step {self.step}"
        if self.action:
            return f"{name} before action {self.step}.{self.action}"
        return f"{name} after step {self.step}"


ASKED = Point("asked", signal=signal.SIGSTOP)
"""The run halts while people are asked, and holds nothing."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended: "completed", "killed", or the class of its error with its whole text."""

    ended: str
    said: str = ""
    changed: int = 0
    plan: Plan | None = None
    memory: Mapping[str, object] = field(default_factory=dict)
    trail: Path = Path()

    @property
    def completed(self) -> bool:
        """Tell whether the run reached its end."""
        return self.ended == "completed"

    @property
    def cut_off(self) -> bool:
        """Tell whether a host, or the way to it, failed the run."""
        return self.ended in ("Unreachable", "HostUnreachable", "LoginRefused", "ConnectionLost")

    @property
    def record(self) -> list[dict[str, object]]:
        """Give the entries of the audit record, also of a killed run."""
        if not self.trail.is_file():
            return []
        return [json.loads(line) for line in self.trail.read_text().splitlines()]

    @property
    def commands(self) -> list[str]:
        """Give every action that the run began, as it was shown."""
        return [str(entry["command"]) for entry in self.record if entry["event"] == "intent"]

    @property
    def told(self) -> str:
        """Give the notes of the plan that the run followed, one a line."""
        return "\n".join(line.text for line in self.plan.lines) if self.plan else ""
