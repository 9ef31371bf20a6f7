"""One run as a reviewer reads it: what was asked, planned, answered, done, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ValidationError

from runbook.audit.chain import Entry
from runbook.audit.summary import Summary
from runbook.plan import Plan

Mark = tuple[str, str]
"""A moment and what it is."""


@dataclass
class ActionView:
    """A command: where, which line, how long, and how it ended."""

    step: str
    goal: str
    where: str
    command: str
    began: str
    ended: str = ""
    seconds: float | None = None
    exit_code: str = ""
    said: str = ""
    outcome: str = "unfinished"


@dataclass
class StepView:
    """A step of the page and what was done in it."""

    number: str
    title: str
    began: str
    actions: list[ActionView] = field(default_factory=list)
    goals: list[Mark] = field(default_factory=list)
    """Goals and their outcome: reached, already so, not needed."""


@dataclass
class RunView:
    """All of it. Moments are ISO 8601 in UTC, as the record has them."""

    run: str
    summary: Summary
    parameters: dict[str, str] = field(default_factory=dict)
    plan: Plan | None = None
    digest: str = ""
    asked: str = ""
    """Digest of the plan that was asked about last."""
    questions: list[Mark] = field(default_factory=list)
    answers: list[Entry] = field(default_factory=list)
    steps: dict[str, StepView] = field(default_factory=dict)
    backups: list[Entry] = field(default_factory=list)
    parts: dict[tuple[str, str], Entry] = field(default_factory=dict)
    """What became of each part, by its runbook and cluster, in the last start."""
    starts: list[Entry] = field(default_factory=list)
    waits: list[tuple[str, str]] = field(default_factory=list)
    """When it waited for people: from, to."""
    began: str = ""
    ended: str = ""

    @property
    def actions(self) -> list[ActionView]:
        """Give the actions of all steps in the order of their beginning."""
        found = [action for step in self.steps.values() for action in step.actions]
        return sorted(found, key=lambda action: action.began)

    def about(self, name: str) -> str:
        """Give a field of the summary."""
        return str(self.summary.fields.get(name, ""))


def view(run: str, entries: Sequence[Entry]) -> RunView:
    """Read a record's entries."""
    made = RunView(run, Summary.of(entries))
    made.began = str(entries[0]["at"]) if entries else ""
    made.ended = str(entries[-1]["at"]) if entries else ""
    for entry in entries:
        _TAKES.get(str(entry["event"]), _nothing)(made, entry)
    return made


def _nothing(made: RunView, entry: Entry) -> None:
    """Events that a reader does not look for."""


def _start(made: RunView, entry: Entry) -> None:
    made.starts.append(entry)
    made.parts = {}
    parameters = entry.get("parameters")
    if isinstance(parameters, dict):
        made.parameters = {str(name): str(value) for name, value in parameters.items()}
    _waited(made, entry)


def _plan(made: RunView, entry: Entry) -> None:
    try:
        made.plan = Plan.model_validate(entry.get("plan"))
    except ValidationError:
        made.plan = None
    made.digest = str(entry.get("digest", ""))


def _asked(made: RunView, entry: Entry) -> None:
    """Keep a question once: a run that waits asks it again after a restart."""
    digest = str(entry.get("digest", ""))
    if not digest or digest != made.asked:
        made.questions.append((str(entry["at"]), str(entry.get("question", ""))))
    made.asked = digest
    made.waits.append((str(entry["at"]), ""))


def _waited(made: RunView, entry: Entry) -> None:
    """Close the time that was spent waiting."""
    if made.waits and not made.waits[-1][1]:
        made.waits[-1] = (made.waits[-1][0], str(entry["at"]))


def _answer(made: RunView, entry: Entry) -> None:
    made.answers.append(entry)
    _waited(made, entry)


def _backup(made: RunView, entry: Entry) -> None:
    """Keep each backup once: a run that waited has chosen it twice."""
    made.backups = [kept for kept in made.backups if kept.get("id") != entry.get("id")] + [entry]


def _part(made: RunView, entry: Entry) -> None:
    made.parts[str(entry.get("runbook", "")), str(entry.get("of", ""))] = entry


def _step(made: RunView, entry: Entry) -> StepView:
    """Give the step of an entry: one that a second walk came to again is the same one."""
    number = str(entry.get("step", ""))
    return made.steps.setdefault(number, StepView(number, "", str(entry["at"])))


def _step_began(made: RunView, entry: Entry) -> None:
    _step(made, entry).title = str(entry.get("title", ""))


def _intent(made: RunView, entry: Entry) -> None:
    _step(made, entry).actions.append(
        ActionView(
            step=str(entry.get("step", "")),
            goal=str(entry.get("goal", "")),
            where=str(entry.get("where", "")),
            command=str(entry.get("command", "")),
            began=str(entry["at"]),
        )
    )


def _done(made: RunView, entry: Entry) -> None:
    """Close the action that this belongs to: goals at the same time are told apart by name."""
    goal = str(entry.get("goal", ""))
    under_way = (
        action
        for action in reversed(_step(made, entry).actions)
        if action.goal == goal and action.outcome == "unfinished"
    )
    action = next(under_way, None)
    if action is None:
        return
    seconds, code = entry.get("seconds"), entry.get("exit_code")
    action.ended = str(entry["at"])
    action.seconds = float(seconds) if isinstance(seconds, int | float) else None
    action.exit_code = "" if code is None else str(code)
    action.said = str(entry.get("error") or entry.get("said") or "")
    action.outcome = str(entry["event"])


def _goal(made: RunView, entry: Entry) -> None:
    mark = (str(entry["event"]), str(entry.get("goal", "")))
    goals = _step(made, entry).goals
    if mark[1] not in (goal for _, goal in goals):
        goals.append(mark)


def _locked_again(made: RunView, entry: Entry) -> None:
    _step(made, entry).goals.append((str(entry["event"]), str(entry.get("said", ""))))


def _taken_back(made: RunView, entry: Entry) -> None:
    command = str(entry.get("command") or entry.get("said", ""))
    where = str(entry.get("where", ""))
    step = made.steps.setdefault("back", StepView("", "Taken back", ""))
    at = str(entry["at"])
    step.actions.append(ActionView("", "", where, command, at, at, None, "", "", "done"))


_TAKES = {
    "start": _start,
    "plan": _plan,
    "asked": _asked,
    "answer": _answer,
    "backup": _backup,
    "part": _part,
    "step": _step_began,
    "intent": _intent,
    "done": _done,
    "failed": _done,
    "reached": _goal,
    "already so": _goal,
    "not needed": _goal,
    "locked again": _locked_again,
    "taken back": _taken_back,
}


def moment(text: str) -> datetime | None:
    """Read a moment; None where the record has none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
