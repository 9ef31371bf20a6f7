"""The process of a run: conducts a procedure, and dies at the point it was given."""

from __future__ import annotations

import faulthandler
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Literal

from runbook.approval import Answer
from runbook.errors import RunbookError
from runbook.plan import Plan
from runbook.run import Parameter
from runbook.watch import Progress
from tests.laws.outcome import ASKED, Outcome, Point

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What the process of a run is to do, and with what."""

    inventory: Path
    state: Path
    environment: Mapping[str, str]
    log: Path | None
    procedure: str
    parameters: Mapping[str, Parameter]
    run_id: str
    at: Point | None
    answer: Literal["approve", "refuse"]


class _Terminated(BaseException):
    """What Prefect, too, makes of SIGTERM: an exception at the point where the code is."""


def main(order: Order, answers: Connection) -> None:
    """Be the process of the run."""
    os.setsid()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    if order.log is not None:
        _keep_all_that_is_told(order.log)
    os.environ |= {"PG_RUNBOOKS_STATE": str(order.state), **order.environment}
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    answers.send(_conducted(order))
    answers.close()


def _keep_all_that_is_told(path: Path) -> None:
    with path.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, force=True)


def _conducted(order: Order) -> Outcome:
    from tests.laws.preloaded import MODULES

    importlib.import_module(MODULES[order.procedure])
    from blocks.load import use_inventory
    from flows._procedure import PROCEDURES

    use_inventory(order.inventory)
    trail = order.state / "audit" / f"{order.run_id}.jsonl"
    watcher = _Watcher(order.at)
    try:
        result = PROCEDURES[order.procedure].conduct(
            order.parameters,
            gate=_Door(order.answer, halts=order.at == ASKED),
            watcher=watcher,
            run_id=order.run_id,
            requested_by="a law",
        )
    except (RunbookError, KeyboardInterrupt, _Terminated) as error:
        log.debug("%s", error)
        return Outcome(type(error).__name__, str(error), plan=watcher.plan, trail=trail)
    memory = {key: value for key, value in result.memory.items() if _plain(value)}
    return Outcome("completed", "", result.changed, result.plan, memory, trail)


def _plain(value: object) -> bool:
    return isinstance(value, (str, int, float, bool))


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


@dataclass(frozen=True)
class _Door:
    decision: Literal["approve", "refuse"]
    halts: bool

    def ask(self, plan: Plan, question: str) -> Answer:
        if self.halts:
            os.kill(os.getpid(), signal.SIGSTOP)
        return Answer(
            decision=self.decision,
            approver="alice",
            reason="a law",
            confirm=plan.cluster,
            door="test",
            at=datetime.now(UTC),
            plan_digest=plan.digest,
        )


class _Watcher:
    """Counts steps and actions, and ends its own process at the point it was given."""

    def __init__(self, at: Point | None) -> None:
        self.plan: Plan | None = None
        self._at = at
        self._step, self._action = "", 0
        self._counting = threading.Lock()

    def planned(self, plan: Plan) -> None:
        log.debug("%s", plan.markdown())
        self.plan = plan

    def step_began(self, number: str, title: str) -> None:
        self._step, self._action = number, 0

    def step_ended(self, number: str, title: str) -> None:
        if self._at == Point(number, signal=self._signal):
            self._die()

    def told(self, text: str) -> None:
        log.debug("%s", text)
        if not text.startswith("on "):
            return
        with self._counting:  # of several threads, each has the number of its own action
            self._action += 1
            here = self._at == Point(self._step, self._action, signal=self._signal)
        if here:
            self._die()

    def progress(self, progress: Progress) -> None:
        half = 0 < progress.total <= 2 * progress.done and not progress.finished
        if half and self._at == Point(self._step, transfer=True, signal=self._signal):
            self._die()

    def finished(self, title: str, markdown: str) -> None:
        return

    @property
    def _signal(self) -> signal.Signals:
        return self._at.signal if self._at else signal.SIGKILL

    def _die(self) -> None:
        assert self._at is not None
        number, self._at = self._at.signal, None
        sys.stdout.flush()
        os.kill(os.getpid(), number)
