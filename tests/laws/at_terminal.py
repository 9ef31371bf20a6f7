"""The command line at a terminal of its own, which can be lost."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.cli.shop import COMMAND
from tests.lab import processes
from tests.lab.errors import LabError
from tests.laws.driver import Runner


@dataclass
class Terminal:
    """A pseudo-terminal, whoever works at it, and what they have been shown."""

    runner: Runner
    leader: int
    follower: int
    process: subprocess.Popen[bytes] | None = None
    shown: bytearray = field(default_factory=bytearray)
    reading: threading.Thread | None = None

    def run(self, runbook: str, *words: str) -> None:
        """Start a run that is approved beforehand; the terminal is the one of its session."""
        argv = [*COMMAND, "run", runbook, *words, "--inventory", str(self.runner.inventory)]
        approval = ["--go", "--approve-by", "Dana", "--reason", "a law", "--confirm", words[1]]
        self.process = subprocess.Popen(
            ["/usr/bin/setsid", "--ctty", *argv, *approval],
            env=os.environ | {"PG_RUNBOOKS_STATE": str(self.runner.state), "TERM": "xterm"},
            stdin=self.follower,
            stdout=self.follower,
            stderr=self.follower,
        )
        os.close(self.follower)
        self.reading = threading.Thread(target=self._read, daemon=True)
        self.reading.start()

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that the run does."""
        try:
            processes.until(holds, "the run has come so far", within=60)
        except LabError as error:
            raise LabError(f"{error}\n{self.shown.decode(errors='replace')}") from error

    def hang_up(self) -> None:
        """Lose the terminal, as a connection that breaks does."""
        leader, self.leader = self.leader, -1
        assert self.reading is not None
        self.reading.join()
        os.close(leader)

    def send(self, number: signal.Signals) -> None:
        """Send the run a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end of the run."""
        assert self.process is not None
        return self.process.wait(120)

    def _read(self) -> None:
        with suppress(OSError):
            while (leader := self.leader) >= 0:
                if select.select([leader], [], [], 0.05)[0]:
                    self.shown += os.read(leader, 65536)


@contextmanager
def at_terminal(runner: Runner) -> Iterator[Terminal]:
    """Give a terminal for one run."""
    terminal = Terminal(runner, *pty.openpty())
    try:
        yield terminal
    finally:
        if terminal.process is not None:
            terminal.process.kill()
            terminal.process.wait()
