"""A real control room for tests: launcher, server and worker as processes that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from prefect.events.worker import EventsWorker

from deployments.settings import ControlRoom
from runbook.marks import ProcessId, RunMark

ROOT = Path(__file__).parents[2]

_EVENTS_SECONDS = 30


class Room:
    """A control room with its own state directory and port; `joins` when the server is there."""

    def __init__(
        self,
        state: Path,
        port: int,
        settings: Mapping[str, str] | None = None,
        *,
        joins: bool = False,
    ) -> None:
        self.state, self.settings = state, dict(settings or {})
        self.more = ("--no-server",) if joins else ()
        self.where = ControlRoom(port=port, state=state)
        self.log = state / "launcher.log"
        self.launcher: subprocess.Popen[bytes] | None = None

    def start(self, drain: float = 0.01) -> float:
        """Start everything and give the seconds until the worker was started."""
        began = time.monotonic()
        self.state.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "tests.prefect.launch", str(self.state)]
        with self.log.open("wb") as output:
            self.launcher = subprocess.Popen(
                [*argv, str(self.where.port), str(drain), *self.more],
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "PG_RUNBOOKS_STATE": str(self.state),
                    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
                    **self.settings,
                },
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
            )
        until(self._is_up, 180, self.log.read_text)
        return time.monotonic() - began

    def stop(self) -> None:
        """Stop the launcher as systemd would, and wait for its end."""
        assert self.launcher is not None
        self.launcher.send_signal(signal.SIGTERM)
        self.launcher.wait(180)

    def pid(self, name: str) -> int:
        """Give the process of the server or the worker."""
        note = (self.state / "children" / f"{name}.json").read_text()
        return ProcessId.model_validate_json(note).pid

    def mark(self, run: str) -> RunMark | None:
        """Give the mark of a run, where its process has left one."""
        path = self.state / "runs" / f"{run}.json"
        with suppress(OSError):
            return RunMark.model_validate_json(path.read_text())
        return None

    def kill_everything(self, *runs: str) -> None:
        """Kill -9 launcher, server, worker and the processes of the given runs: a power cut."""
        assert self.launcher is not None
        marks = [self.mark(run) for run in runs]
        pids = [self.launcher.pid, self.pid("worker"), self.pid("server")]
        for pid in [*pids, *(mark.process.pid for mark in marks if mark)]:
            os.kill(pid, signal.SIGKILL)
        self.launcher.wait(30)

    @contextmanager
    def no_reaper(self) -> Iterator[None]:
        """Hold the launcher, which reaps every minute, still for the time of a block."""
        assert self.launcher is not None
        self.launcher.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.launcher.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End whatever of it still runs.

        What Prefect's client in this process has to tell is sent before: once its server has gone,
        it tries for ten seconds with every event when the process ends.
        """
        EventsWorker.drain_all(timeout=_EVENTS_SECONDS, at_exit=False)
        if self.launcher is not None and self.launcher.poll() is None:
            self.stop()
        for note in (self.state / "children").glob("*.json"):
            with suppress(ProcessLookupError):
                os.kill(ProcessId.model_validate_json(note.read_text()).pid, signal.SIGKILL)

    def _is_up(self) -> bool:
        assert self.launcher is not None
        if self.launcher.poll() is not None:
            raise AssertionError(self.log.read_text())
        return "worker: pool" in self.log.read_text()


def until(holds: Callable[[], bool], seconds: float, seen: Callable[[], str] = lambda: "") -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"not so after {seconds} s: {seen()}")
        time.sleep(0.1)
