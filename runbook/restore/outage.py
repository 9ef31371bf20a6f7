"""The moment of the first stop, written down on the node: it outlives the run that stopped."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.actions import Action, Execute
from runbook.hosts import Command, Host

_START = 'echo "$(date +%s.%N) $2" >"$1.new" && mv "$1.new" "$1"'
_READ = 'if [ -e "$1" ]; then cat "$1"; date +%s.%N; fi'


@dataclass(frozen=True)
class StopClock:
    """A file with the time of the first stop, by the node's own clock, and the run that stopped."""

    host: Host
    user: str
    path: str

    def started_by(self) -> str:
        """Name the run that wrote a stop down; empty where none is."""
        words = self._read()
        return words[1] if words else ""

    def start(self, run_id: str) -> Action:
        """Write down that the first thing is stopped now."""
        command = Command(("sh", "-c", _START, "start", self.path, run_id), user=self.user)
        return Execute(self.host, command, shown=f"date +%s.%N >{self.path}")

    def seconds(self) -> float | None:
        """Give the time since then; None where no stop is written down."""
        words = self._read()
        return round(float(words[2]) - float(words[0]), 3) if words else None

    def clear(self) -> None:
        """Remove the file."""
        self.host.run(self._removal())

    def forgotten(self) -> Action:
        """Remove the file, where what was begun then is not gone on with."""
        return Execute(self.host, self._removal())

    def _removal(self) -> Command:
        return Command(("rm", "-f", "--", self.path), user=self.user)

    def _read(self) -> list[str]:
        return self.host.read("sh", "-c", _READ, "read", self.path, user=self.user).split()
