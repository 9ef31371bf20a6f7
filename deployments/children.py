"""Child processes of the launcher: ended by their own id, found again after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from runbook.marks import ProcessId, process_identity
from runbook.whole_file import write_whole

_LOOK_SECONDS = 0.1


@dataclass
class Child:
    """A running program of our own, such as the Prefect server: a Python module's command line."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    process: subprocess.Popen[bytes] = field(init=False)
    starts: int = field(default=0, init=False)
    began: float = field(default=0.0, init=False)
    rests_until: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()

    @property
    def log(self) -> Path:
        """Name the file that it writes to."""
        return self.folder / f"{self.name}.log"

    @property
    def note(self) -> Path:
        """Name the file that tells its process to a later launcher."""
        return self.folder / f"{self.name}.json"

    @property
    def is_running(self) -> bool:
        """Tell whether it has not ended."""
        return self.process.poll() is None

    def ends_at_once(self, seconds: float) -> bool:
        """Tell whether it was started again less than these seconds ago."""
        return self.starts > 1 and time.monotonic() - self.began < seconds

    def start(self) -> None:
        """Start it, or start it again when it has ended."""
        self.starts, self.began = self.starts + 1, time.monotonic()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                (sys.executable, "-m", *self.argv),
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        identity = process_identity(self.process.pid)
        if identity is not None:
            write_whole(self.note, identity.model_dump_json())

    def stop(self, patience: float) -> None:
        """Ask it to end, and end it when its patience is over."""
        if self.is_running:
            self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(patience)
        if self.is_running:
            self.process.kill()
            self.process.wait()


@contextmanager
def child(
    name: str, argv: tuple[str, ...], environment: Mapping[str, str], state: Path, patience: float
) -> Iterator[Child]:
    """Run a Python module for the time of a block, in a session of its own.

    The terminal's Ctrl-C reaches the launcher alone, which drains first. Its process is noted on
    disk, so that a launcher that was killed leaves nothing that the next one cannot find.
    """
    started = Child(name, argv, environment, state / "children")
    try:
        yield started
    finally:
        started.stop(patience)
        started.note.unlink(missing_ok=True)


def left_behind(state: Path) -> dict[Path, ProcessId]:
    """Give what a killed launcher has left running, by its notes."""
    found = {}
    for note in sorted((state / "children").glob("*.json")):
        with suppress(OSError, ValidationError):
            process = ProcessId.model_validate_json(note.read_text())
            if process.is_alive:
                found[note] = process
    return found


def end_left_behind(state: Path, patience: float = 10.0) -> tuple[str, ...]:
    """End what a killed launcher has left running, by exactly these processes; give their names."""
    ended = left_behind(state)
    for process in ended.values():
        _end(process, patience)
    for note in (state / "children").glob("*.json"):
        note.unlink(missing_ok=True)
    return tuple(note.stem for note in ended)


def last_lines(log: Path, count: int = 15) -> str:
    """Give the end of a child's log, for the error that tells why it ended."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])


def _end(process: ProcessId, patience: float) -> None:
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
        until = time.monotonic() + patience
        while process.is_alive and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
        if process.is_alive:
            os.kill(process.pid, signal.SIGKILL)
