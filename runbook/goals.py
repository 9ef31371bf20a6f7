"""The words of a procedure: ensure, check, approve, fact, note. The only place that knows modes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from runbook.actions import Action
from runbook.approval import ApprovalNeeded
from runbook.errors import CheckFailed, GoalNotReached, Unreachable
from runbook.plan import Fact, Outcome, PlanLine
from runbook.run import Run, current, planned_actions

_FIRST_LOOK_SECONDS = 0.05
_SLOWEST_LOOK_SECONDS = 2.0

Actions = Sequence[Action] | Callable[[], Sequence[Action]]


@dataclass(frozen=True)
class Need:
    """A fact that must hold at the moment of danger; `seen` tells what holds instead."""

    text: str
    holds: Callable[[], bool]
    seen: Callable[[], str] = lambda: ""
    hint: str = ""

    def insist(self) -> None:
        """Ask now; CheckFailed if it does not hold."""
        if not self.holds():
            raise CheckFailed(f"not so: {self.text}", detail=self.seen(), hint=self.hint)


def ensure(
    goal: str,
    *,
    holds: Callable[[], bool],
    by: Actions,
    needs: Sequence[Need] = (),
    within: float = 0.0,
    unless: Callable[[], bool] | None = None,
) -> Outcome:
    """Reach a goal: skip if it holds, insist on the needs, act, and ask the world again.

    `unless` what it is wanted for is done already: then it need not hold, and the line does not
    say that it does. `within` is the patience in seconds until the goal must hold after the
    actions. A plan lists the actions instead; once something is planned, later goals are listed
    without asking.
    """
    run = current()
    if run.planning:
        return _planned_goal(run, goal, partial(_found, holds, unless), by)
    found = _found(holds, unless)
    if found is not None:
        run.line(PlanLine(kind="goal", text=goal, outcome=found))
        run.record(found, goal=goal)
        return found
    for need in needs:
        need.insist()
    for action in _actions(by):
        run.perform(action, goal)
    _await(goal, holds, within)
    run.line(PlanLine(kind="goal", text=goal, outcome="done"))
    run.record("reached", goal=goal)
    return "done"


def check(
    text: str,
    holds: Callable[[], bool],
    *,
    seen: Callable[[], str] = lambda: "",
    hint: str = "",
    unless: Callable[[], bool] | None = None,
) -> Outcome:
    """Insist on a fact. A plan that already changes something lists it as still open.

    `unless` what it is asked for is done already: then nothing is asked, and the line says so.
    """
    run = current()
    outcome: Outcome = "checked"
    if run.planning and run.builder.anything_planned:
        outcome = "open"
    elif unless is not None and unless():
        outcome = "not needed"
    else:
        Need(text, holds, seen, hint).insist()
    run.line(PlanLine(kind="check", text=text, outcome=outcome))
    return outcome


def approve(question: str) -> None:
    """Ask a person for the go-ahead, unless nothing behind this line would change anything."""
    run = current()
    if run.planning:
        run.line(PlanLine(kind="approval", text=question, outcome="open"))
        return
    assert run.replan is not None
    plan = run.replan()
    if not plan.changes_after_approval:
        run.line(PlanLine(kind="approval", text="nothing left to approve", outcome="note"))
        return
    answer = run.answers.get(plan.digest)
    if answer is None:
        raise ApprovalNeeded(plan, question, tuple(run.if_refused))
    run.record("approved", **answer.for_record())
    who = f"approved by {answer.approver}: {answer.reason}".rstrip(": ")
    run.line(PlanLine(kind="approval", text=who, outcome="approved"))


def fact(name: str, value: object, *, bound: bool = True) -> None:
    """Show a measured fact at the head of the plan; bound facts are part of what is approved."""
    current().fact(Fact(name=name, value=str(value), bound=bound))


def note(text: str) -> None:
    """Tell something that a reader of the plan or the record should know."""
    current().line(PlanLine(kind="note", text=text, outcome="note"))


def _found(holds: Callable[[], bool], unless: Callable[[], bool] | None) -> Outcome | None:
    """Tell why nothing is to be done for a goal; None where something is."""
    if unless is not None and unless():
        return "not needed"
    return "already so" if holds() else None


def _planned_goal(run: Run, goal: str, finds: Callable[[], Outcome | None], by: Actions) -> Outcome:
    found = None if run.builder.anything_planned else finds()
    outcome: Outcome = found or "planned"
    actions = () if found else planned_actions(tuple(_actions(by)))
    run.line(PlanLine(kind="goal", text=goal, outcome=outcome, actions=actions))
    return outcome


def _actions(by: Actions) -> Sequence[Action]:
    return by() if callable(by) else by


def _await(goal: str, holds: Callable[[], bool], within: float) -> None:
    deadline = time.monotonic() + within
    pause = _FIRST_LOOK_SECONDS
    while True:
        current().go_on()
        try:
            if holds():
                return
            seen = "asked again after the actions, it does not hold"
        except Unreachable as error:
            seen = str(error)
        if time.monotonic() >= deadline:
            raise GoalNotReached(
                f"not reached in {within:.0f} s: {goal}",
                detail=seen,
                hint="Look at the host's logs; start the runbook again when the cause is removed.",
            )
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 1.5, _SLOWEST_LOOK_SECONDS)
