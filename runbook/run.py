"""The current run: its mode, its position, its record, and who watches it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import Enum
from threading import Event

from runbook.actions import Action
from runbook.approval import Answer
from runbook.audit import AuditTrail
from runbook.errors import Interrupted, RunbookError
from runbook.evidence import Kept
from runbook.hosts.underway import Underway, collected
from runbook.lock import taken_again
from runbook.plan import Fact, Plan, PlanBuilder, PlanLine, PlannedAction
from runbook.watch import Progress, Watcher

Parameter = str | int | bool
APART = "apart"
"""What a run remembers when it has done less than its name says, by a way that its page tells."""


class Mode(Enum):
    """Whether a walk through the procedure only plans, or acts."""

    PLAN = "plan"
    ACT = "act"


@dataclass
class Run:
    """One walk through a procedure."""

    id: str
    runbook: str
    cluster: str
    parameters: Mapping[str, Parameter]
    mode: Mode
    watcher: Watcher
    trail: AuditTrail | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    replan: Callable[[], Plan] | None = None
    builder: PlanBuilder = field(default_factory=PlanBuilder)
    position: str = ""
    changed: int = 0
    memory: dict[str, object] = field(default_factory=dict)
    if_refused: list[Action] = field(default_factory=list)
    """What takes back the preparations of this run when people refuse its plan."""
    locked: bool = False
    """The cluster is this run's alone, also while it plans; never in a dry run."""
    kept: list[Kept] = field(default_factory=list)
    """What it has made and verified, for the evidence of a run that has parts."""
    ends: Event = field(default_factory=Event)
    underway: Underway | None = None

    @property
    def planning(self) -> bool:
        """Tell whether nothing may change."""
        return self.mode is Mode.PLAN

    def plan(self) -> Plan:
        """Give the plan collected so far."""
        return self.builder.plan(self.runbook, self.cluster, dict(self.parameters))

    def line(self, line: PlanLine) -> None:
        """Keep a line for the plan, and tell it when acting."""
        self.builder.line(line)
        if not self.planning:
            self.watcher.told(f"{line.text}: {line.outcome}")

    def fact(self, fact: Fact) -> None:
        """Keep a measured fact for the plan."""
        self.builder.fact(fact)

    def perform(self, action: Action, goal: str) -> None:
        """Do an action: intent on record first, outcome after.

        A change only while the cluster is this run's alone: a lock that was lost is taken again.
        """
        if self.planning:
            raise AssertionError(f"planning changes nothing, but met {action}")
        self.go_on()
        for told in taken_again() if action.changes else ():
            self.record("locked again", said=told)
            self.watcher.told(told)
        self.record("intent", goal=goal, where=action.where, command=str(action))
        self.watcher.told(f"on {action.where}: {action}")
        began = time.monotonic()
        try:
            with collected(self.underway):
                done = action.perform()
        except BaseException as error:
            self.record("failed", goal=goal, error=str(error), seconds=_since(began))
            raise
        self.changed += action.changes
        self.record(
            "done", goal=goal, exit_code=done.exit_code, said=done.said, seconds=_since(began)
        )

    def go_on(self) -> None:
        """Begin nothing more once the run is being ended from outside."""
        if self.ends.is_set():
            raise Interrupted("the run was ended while this was under way")

    def branch(self, ends: Event, underway: Underway) -> Run:
        """Give a run for one of several pieces of work that are done at the same time."""
        mine = self.builder.branch()
        return replace(self, builder=mine, changed=0, ends=ends, underway=underway)

    def part(self, cluster: str) -> Run:
        """Give a run for a part that is planned and done as if the others were not."""
        return replace(self, cluster=cluster, builder=PlanBuilder(), changed=0, kept=[])

    def take(self, part: Run, about: str) -> None:
        """Take over the steps of a part and what it changed; its facts are told as its own."""
        self.builder.take(part.builder, about)
        self.changed += part.changed

    def join(self, branch: Run) -> None:
        """Take over what a branch has told and changed."""
        self.builder.join(branch.builder)
        self.changed += branch.changed

    def record(self, event: str, **fields: object) -> None:
        """Write to the audit record, with the position."""
        if self.trail is not None:
            self.trail.write(event, step=self.position, **fields)

    def progress(self, title: str, done: int, total: int, *, finished: bool = False) -> None:
        """Tell how far a longer piece of work is."""
        self.watcher.progress(Progress(title, done, total, finished))


_current: ContextVar[Run | None] = ContextVar("run", default=None)


def current() -> Run:
    """Give the run that this code belongs to."""
    run = _current.get()
    if run is None:
        raise RunbookError(
            "no run is open",
            detail="steps, goals and checks belong to a run",
            hint="Start the runbook through its flow or with `pg-runbooks run`.",
        )
    return run


@contextmanager
def opened(run: Run) -> Iterator[Run]:
    """Make a run the current one for a block."""
    token = _current.set(run)
    try:
        yield run
    finally:
        _current.reset(token)


@contextmanager
def step(number: str, title: str) -> Iterator[None]:
    """Open a numbered step of the page; errors inside are told with its number.

    A step inside a step is numbered below it: the fourth of part 2.1 is 2.1.4.
    """
    run = current()
    outer = run.position
    number = f"{outer}.{number}" if outer else number
    run.builder.step(number, title)
    run.position = number
    if not run.planning:
        run.record("step", title=title)
        run.watcher.step_began(number, title)
    try:
        yield
    except RunbookError as error:
        if not error.message.startswith(run.runbook):
            error.message = f"{run.runbook} step {number}: {error.message}"
        raise
    finally:
        run.position = outer
    if not run.planning:
        run.watcher.step_ended(number, title)


def planned_actions(actions: tuple[Action, ...]) -> tuple[PlannedAction, ...]:
    """Write actions down for a plan."""
    return tuple(
        PlannedAction(where=action.where, line=str(action), changes=action.changes)
        for action in actions
    )


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
