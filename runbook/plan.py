"""The plan of a run: every step, host and command, as a value that people approve."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

from runbook.units import counted

Outcome = Literal[
    "already so", "not needed", "planned", "done", "checked", "open", "approved", "note"
]

NOTHING_RESTORED = "NOTHING IS RESTORED"
NOTHING_REMOVED = "NOTHING IS REMOVED"
RESTORED_ALREADY = "RESTORED ALREADY"
"""Facts that lead the plan of a run which finds nothing to do, be it done or a wrong name."""

BOXES = {
    "already so": "✓",
    "not needed": "·",
    "done": "✓",
    "checked": "✓",
    "approved": "✓",
    "note": "·",
}
"""How a line is ticked off by its outcome; an empty box for all others."""

_TOLD = ("already so", "not needed", "open")


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class PlannedAction(_Value):
    """One command: where it runs, and the line a person would type there."""

    where: str
    line: str
    changes: bool = True


class PlanLine(_Value):
    """A goal, a check, an approval or a note inside a step."""

    kind: Literal["goal", "check", "approval", "note"]
    text: str
    outcome: Outcome
    actions: tuple[PlannedAction, ...] = ()

    @property
    def changes(self) -> int:
        """Count the actions that are still to be performed and change something."""
        return sum(action.changes for action in self.actions) if self.outcome == "planned" else 0

    @property
    def is_open_question(self) -> bool:
        """Tell whether people are still to be asked."""
        return self.kind == "approval" and self.outcome == "open"


class PlanStep(_Value):
    """A numbered step of the procedure."""

    number: str
    title: str
    lines: tuple[PlanLine, ...] = ()

    def unasked(self) -> PlanStep:
        """Give it with its questions to people marked as needless."""
        lines = tuple(
            line.model_copy(update={"outcome": "not needed"}) if line.is_open_question else line
            for line in self.lines
        )
        return self.model_copy(update={"lines": lines})


class Fact(_Value):
    """Something measured for the plan. A bound fact is part of what is approved.

    Facts that move by themselves (free space, last write) are shown and not bound, or no plan
    would ever stay approved.
    """

    name: str
    value: str
    bound: bool = True


class Plan(_Value):
    """What a run would do, made by the same code that does it."""

    runbook: str
    cluster: str
    parameters: dict[str, str | int | bool]
    facts: tuple[Fact, ...] = ()
    steps: tuple[PlanStep, ...] = ()

    @property
    def digest(self) -> str:
        """Give the SHA-256 of all that is approved: parameters, bound facts, steps, commands."""
        bound = self.model_copy(update={"facts": tuple(f for f in self.facts if f.bound)})
        canonical = json.dumps(bound.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def changes(self) -> int:
        """Count the actions that would be performed."""
        return sum(line.changes for line in self.lines)

    @property
    def changes_after_approval(self) -> int:
        """Count the actions that stand behind the question to a person."""
        lines = self.lines
        asked = [i for i, line in enumerate(lines) if line.kind == "approval"]
        behind = lines[asked[0] :] if asked else ()
        return sum(line.changes for line in behind)

    @property
    def headline(self) -> str:
        """Say that the run does not do what its name says; empty where it does."""
        names = (NOTHING_RESTORED, NOTHING_REMOVED, RESTORED_ALREADY)
        facts = (fact for fact in self.facts if fact.name in names)
        return next((f"{fact.name}: {fact.value}" for fact in facts), "")

    @property
    def lines(self) -> tuple[PlanLine, ...]:
        """Give the lines of all steps in order."""
        return tuple(line for step in self.steps for line in step.lines)

    @property
    def outlook(self) -> str:
        """Say what the run would change."""
        if self.changes:
            return f"{counted(self.changes, 'command')} would change something."
        if any(line.outcome in ("planned", "open") for line in self.lines):
            return "Nothing would change: what is open (☐) is only looked at, when the run acts."
        if self.headline:
            return "Nothing would change."
        why = "everything is already so" if self.has_goals else "it only reads"
        return f"Nothing would change: {why}."

    @property
    def has_goals(self) -> bool:
        """Tell whether it is about more than looking."""
        return any(line.kind == "goal" for line in self.lines)

    def _is_empty(self, step: PlanStep) -> bool:
        """Tell whether neither it nor a step below it has lines."""
        below = f"{step.number}."
        return not step.lines and not any(each.number.startswith(below) for each in self.steps)

    @property
    def headings(self) -> tuple[tuple[str, str], ...]:
        """Give number and title of every step."""
        return tuple((step.number, step.title) for step in self.steps)

    def markdown(self) -> str:
        """Write the plan as the page that people read before they approve."""
        parts = [f"## Plan: {self.runbook} on {self.cluster}", ""]
        if self.facts:
            parts += [f"- **{fact.name}:** {fact.value}" for fact in self.facts]
            parts.append("")
        for step in self.steps:
            parts.append(f"### {step.number}. {step.title}")
            parts.append("")
            for line in step.lines:
                parts += _line(line)
            if self._is_empty(step):
                parts.append("(nothing to change here)")
            parts.append("")
        parts += [self.outlook, "", f"SHA-256 of this plan: `{self.digest}`", ""]
        return "\n".join(parts)


class PlanBuilder:
    """Collects steps, lines and facts while a procedure is walked through."""

    def __init__(self) -> None:
        self._facts: list[Fact] = []
        self._steps: list[tuple[str, str, list[PlanLine]]] = []
        self._planned_before = False

    def fact(self, fact: Fact) -> None:
        """Add a measured fact, or replace the one of the same name."""
        self._facts = [kept for kept in self._facts if kept.name != fact.name] + [fact]

    def step(self, number: str, title: str) -> None:
        """Begin a step."""
        self._steps.append((number, title, []))

    def line(self, line: PlanLine) -> None:
        """Add a line to the current step."""
        if not self._steps:
            self.step("0", "Before the first step")
        self._steps[-1][2].append(line)

    @property
    def anything_planned(self) -> bool:
        """Tell whether a change has been planned, after which later reads are not yet known."""
        mine = (line for _, _, lines in self._steps for line in lines)
        return self._planned_before or any(line.changes for line in mine)

    def branch(self) -> PlanBuilder:
        """Give a builder for a piece of the current step that is done beside others."""
        made = PlanBuilder()
        made._planned_before = self.anything_planned
        return made

    def join(self, branch: PlanBuilder) -> None:
        """Take over the lines and facts of a branch."""
        for fact in branch._facts:
            self.fact(fact)
        for _, _, lines in branch._steps:
            for line in lines:
                self.line(line)

    def lead(self, *facts: Fact) -> None:
        """Put facts before all others: what the whole of the parts comes to."""
        self._facts = [*facts, *self._facts]

    def take(self, part: PlanBuilder, about: str) -> None:
        """Take over the steps of a part; its facts bear the name of the part."""
        for fact in part._facts:
            self.fact(fact.model_copy(update={"name": f"{about}: {fact.name}"}))
        self._steps += part._steps

    def plan(self, runbook: str, cluster: str, parameters: dict[str, str | int | bool]) -> Plan:
        """Close the plan; a question with no change behind it is not going to be asked."""
        steps = tuple(
            PlanStep(number=number, title=title, lines=tuple(lines))
            for number, title, lines in self._steps
        )
        made = Plan(
            runbook=runbook,
            cluster=cluster,
            parameters=parameters,
            facts=tuple(self._facts),
            steps=steps,
        )
        if made.changes_after_approval:
            return made
        return made.model_copy(update={"steps": tuple(step.unasked() for step in steps)})


def _line(line: PlanLine) -> list[str]:
    box = BOXES.get(line.outcome, "☐")
    suffix = f" — *{line.outcome}*" if line.outcome in _TOLD else ""
    shown = [f"- {box} {line.text}{suffix}"]
    for action in line.actions:
        if "\n" in action.line or "`" in action.line:
            block = "\n".join(f"      {row}" for row in action.line.splitlines())
            shown += [f"    - on **{action.where}**:", "", block, ""]
        else:
            shown.append(f"    - on **{action.where}**: `{action.line}`")
    return shown
