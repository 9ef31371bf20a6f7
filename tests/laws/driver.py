"""Runs a procedure in a process of its own, which can be made to die at any point of the run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal
from uuid import uuid4

from runbook.run import Parameter
from tests.laws import driven
from tests.laws.outcome import Outcome, Point

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.laws.preloaded"])


@dataclass(frozen=True)
class Runner:
    """Starts procedures with the settings of an inventory file and a state directory."""

    inventory: Path
    state: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 180
    log: Path | None = None
    """Where everything goes that runs print, or tell any logger at any level."""

    def run(
        self,
        procedure: str,
        *,
        at: Point | None = None,
        answer: Literal["approve", "refuse"] = "approve",
        dry_run: bool = False,
        run_id: str = "",
        **parameters: Parameter,
    ) -> Outcome:
        """Run to the end, or until the process dies at the given point."""
        running = self.start(
            procedure, at=at, answer=answer, dry_run=dry_run, run_id=run_id, **parameters
        )
        return running.outcome(self.timeout)

    def start(
        self,
        procedure: str,
        *,
        at: Point | None = None,
        answer: Literal["approve", "refuse"] = "approve",
        dry_run: bool = False,
        run_id: str = "",
        **parameters: Parameter,
    ) -> Running:
        """Start a run, or with `run_id` that run again, and go on beside it."""
        run_id = run_id or uuid4().hex
        order = driven.Order(
            self.inventory,
            self.state,
            self.environment,
            self.log,
            procedure,
            {**parameters, "dry_run": dry_run},
            run_id,
            at,
            answer,
        )
        near, far = _processes.Pipe(duplex=False)
        process = _processes.Process(target=driven.main, args=(order, far), daemon=True)
        process.start()
        far.close()
        assert process.pid is not None
        return Running(process, near, self.state / "audit" / f"{run_id}.jsonl")


@dataclass(frozen=True)
class Running:
    """A run in its own process."""

    process: multiprocessing.process.BaseProcess
    answers: Connection
    trail: Path

    @property
    def pid(self) -> int:
        """Give the process id."""
        assert self.process.pid is not None
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        os.kill(self.pid, number)

    def halted(self, timeout: float = 180) -> None:
        """Wait until the process has halted at its Point with SIGSTOP; send SIGCONT to go on."""
        deadline = time.monotonic() + timeout
        while not self._stands():
            if self.answers.poll(0.01) or time.monotonic() > deadline:
                said = self.outcome(1).said if self.answers.poll() else f"see {self.trail}"
                raise AssertionError(f"the run has not come to its point: {said}")

    def _stands(self) -> bool:
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:  # it has ended
            return False
        return state.rpartition(")")[2].split()[0] == "T"

    def outcome(self, timeout: float = 180) -> Outcome:
        """Wait for the end."""
        try:
            if not self.answers.poll(timeout):
                self.send(signal.SIGUSR1)
                raise AssertionError(f"the run has not ended in {timeout:.0f} s: {self.trail}")
            outcome = self.answers.recv()
            assert isinstance(outcome, Outcome)
        except EOFError:
            outcome = Outcome("killed", trail=self.trail)
        finally:
            if self.process.is_alive() and not self.answers.closed:
                self.process.join(10)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()
            self.answers.close()
        return outcome
