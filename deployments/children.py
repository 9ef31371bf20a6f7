"""Child processes of the launcher: ended by their own id, found again after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from runbook.marks import ProcessId, process_identity

_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Child:
    """A running program of our own, such as the Prefect server."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def is_running(self) -> bool:
        """Tell whether it has not ended."""
        return self.process.poll() is None

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
    folder = state / "children"
    folder.mkdir(parents=True, exist_ok=True)
    log, note = folder / f"{name}.log", folder / f"{name}.json"
    with log.open("ab") as output:
        process = subprocess.Popen(
            (sys.executable, "-m", *argv),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = Child(name, process, log)
    try:
        identity = process_identity(process.pid)
        if identity is not None:
            note.write_text(identity.model_dump_json())
        yield started
    finally:
        started.stop(patience)
        note.unlink(missing_ok=True)


def end_left_behind(state: Path, patience: float = 10.0) -> tuple[str, ...]:
    """End what a killed launcher has left running, by exactly these processes; give their names."""
    ended = []
    for note in sorted((state / "children").glob("*.json")):
        try:
            process = ProcessId.model_validate_json(note.read_text())
        except (OSError, ValidationError):
            note.unlink(missing_ok=True)
            continue
        if process.is_alive:
            _end(process, patience)
            ended.append(note.stem)
        note.unlink(missing_ok=True)
    return tuple(ended)


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
