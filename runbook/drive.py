"""Drives a procedure: plan, lock, act, ask, act."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from runbook.actions import Action
from runbook.approval import Answer, ApprovalNeeded, Gate, Waiting
from runbook.approvers.alarm import ring
from runbook.approvers.difference import (
    CHANGED,
    difference_to_approved,
    is_answer_on_record,
    is_on_record,
)
from runbook.approvers.ledger import ledger_of
from runbook.approvers.tally import Tally, Verdict
from runbook.approvers.terms import Terms
from runbook.audit import AuditTrail
from runbook.audit.mirror import Mirror
from runbook.audit.mirroring import mirrored
from runbook.errors import Refused
from runbook.hosts import Host
from runbook.lock import only_run
from runbook.plan import Plan
from runbook.run import Mode, Parameter, Run, opened
from runbook.watch import Watcher

_FRESH_SECONDS = 10.0


@dataclass(frozen=True)
class Order:
    """What is asked for: which runbook, on which cluster, with which parameters, by whom."""

    runbook: str
    cluster: str
    parameters: Mapping[str, Parameter]
    body: Callable[[], None]
    hosts: Callable[[], Sequence[Host]]
    requested_by: str = ""
    alone: bool = True
    """Whether no other run may be at work on the cluster; looking needs no such peace."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    former: Callable[[], Sequence[Host]] = tuple
    """Gives the machines that the cluster leaves: nobody else may be at work there, either."""


@dataclass(frozen=True)
class Result:
    """How a run ended: the plan it followed, what it changed, and where its record lies."""

    plan: Plan
    changed: int
    trail: Path | None
    memory: Mapping[str, object]


@dataclass
class Driver:
    """Carries orders out with the given state directory, gate and watcher."""

    state: Path
    gate: Gate
    watcher: Watcher
    copy: Callable[[], Mirror | None] = lambda: None
    """Gives where the record of a run is copied while it goes on."""
    terms: Callable[[Plan, str], Terms | None] = lambda plan, requested_by: None  # noqa: ARG005
    """Gives who must approve a plan that somebody asked for; None: a name as typed counts."""

    def dry_run(self, order: Order) -> Result:
        """Make the plan: reads only, no lock, no record, nothing changed."""
        plan = self._plan(order)
        self.watcher.planned(plan)
        return Result(plan, 0, None, {})

    def run(self, order: Order) -> Result:
        """Carry the order out; the answers of people are asked for outside the lock."""
        with mirrored(self.copy(), order.id):
            return self._recorded(order)

    def _recorded(self, order: Order) -> Result:
        path = self.state / "audit" / f"{order.id}.jsonl"
        trail = AuditTrail(path)
        answers: dict[str, Answer] = {}
        try:
            trail.write("start", **_told(order))
            while True:
                try:
                    return self._act(order, trail, answers)
                except ApprovalNeeded as needed:
                    self._ask(order, needed, trail, answers)
        except Waiting:
            trail.write("waiting")
            raise
        except BaseException as error:
            trail.write("end", outcome=type(error).__name__, error=str(error))
            raise
        finally:
            trail.close()

    def _act(self, order: Order, trail: AuditTrail, answers: dict[str, Answer]) -> Result:
        with self._locked(order):
            plan, made = self._plan(order, locked=True), time.monotonic()
            self.watcher.planned(plan)
            trail.write("plan", digest=plan.digest, plan=plan.model_dump(mode="json"))
            run = self._acting(order, trail, answers)
            run.replan = lambda: plan if _is_fresh(run, made) else self._plan(order, locked=True)
            with opened(run):
                order.body()
            trail.write(
                "end", outcome="completed", changed=run.changed, measured=_measured(run.memory)
            )
            return Result(run.plan(), run.changed, trail.path, run.memory)

    def _ask(
        self, order: Order, needed: ApprovalNeeded, trail: AuditTrail, answers: dict[str, Answer]
    ) -> None:
        plan = needed.plan
        self.watcher.planned(plan)
        if not is_on_record(trail.path, plan):
            trail.write("plan", digest=plan.digest, plan=plan.model_dump(mode="json"))
        trail.write("asked", digest=plan.digest, question=needed.question)
        try:
            answers[plan.digest] = self._approved(order, needed, trail)
        except Refused:
            self._take_back(order, needed.if_refused, trail)
            raise

    def _approved(self, order: Order, needed: ApprovalNeeded, trail: AuditTrail) -> Answer:
        """Ask until enough people have approved; every answer is on record with its worth."""
        plan, question = needed.plan, needed.question
        changed = difference_to_approved(trail.path, plan)
        if changed:
            trail.write("changed since", digest=plan.digest, difference=changed)
            question = f"{question}\n\n{CHANGED}\n\n```diff\n{changed}\n```\n"
        terms = self.terms(plan, order.requested_by)
        tally = Tally(order.id, plan, terms, ledger_of(self.state, terms))
        while True:
            answer = self.gate.ask(plan, tally.ask(question))
            verdict = tally.judge(answer)
            if not is_answer_on_record(trail.path, answer):
                self._record(order, answer, verdict, terms, trail)
            if verdict.ends:
                raise verdict.ends
            if not tally.is_open:
                return answer

    def _record(
        self, order: Order, answer: Answer, verdict: Verdict, terms: Terms | None, trail: AuditTrail
    ) -> None:
        """Keep an answer. The alarm comes first: told twice after a crash, but never not at all."""
        told = (
            ring(terms.policy.alarm, order.id, verdict.alarm) if verdict.alarm and terms else None
        )
        trail.write("answer", **answer.for_record(), **verdict.for_record())
        if told is not None:
            trail.write("alarm", told=told)

    def _take_back(self, order: Order, actions: Sequence[Action], trail: AuditTrail) -> None:
        """Undo what was prepared before the question: a refusal leaves nothing behind."""
        if not actions:
            return
        with self._locked(order), opened(self._acting(order, trail, {})):
            for action in actions:
                trail.write("taken back", where=action.where, command=str(action))
                said = action.perform().said
                if said:
                    trail.write("taken back", where=action.where, said=said)

    def _locked(self, order: Order) -> AbstractContextManager[None]:
        if not order.cluster or not order.alone:
            return nullcontext()
        holder = f"{order.runbook} {order.id}"
        folder, hosts = self.state / "locks", order.hosts()
        return only_run(folder, order.cluster, hosts, holder=holder, former=order.former())

    def _acting(self, order: Order, trail: AuditTrail, answers: dict[str, Answer]) -> Run:
        return replace(self._run(order, Mode.ACT, locked=True), trail=trail, answers=answers)

    def _plan(self, order: Order, *, locked: bool = False) -> Plan:
        run = self._run(order, Mode.PLAN, locked=locked)
        with opened(run):
            order.body()
        return run.plan()

    def _run(self, order: Order, mode: Mode, *, locked: bool) -> Run:
        return Run(
            id=order.id,
            runbook=order.runbook,
            cluster=order.cluster,
            parameters=order.parameters,
            mode=mode,
            watcher=self.watcher,
            locked=locked,
        )


def _is_fresh(run: Run, made: float) -> bool:
    """Tell whether the plan that this very walk began with can still be asked about.

    An application may be waiting, and walking through a procedure takes as long as its reading.
    """
    return run.changed == 0 and time.monotonic() - made < _FRESH_SECONDS


def _told(order: Order) -> dict[str, object]:
    return {
        "run": order.id,
        "runbook": order.runbook,
        "cluster": order.cluster,
        "parameters": dict(order.parameters),
        "requested_by": order.requested_by,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "version": version("pg-runbooks"),
    }


def _measured(memory: Mapping[str, object]) -> dict[str, float]:
    """Give the seconds that the steps have measured, by name."""
    return {
        name.removesuffix(" seconds"): round(value, 3)
        for name, value in memory.items()
        if name.endswith(" seconds") and isinstance(value, float | int)
    }
