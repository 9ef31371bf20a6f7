"""What a run's record comes to: the fields that the index of runs keeps of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from runbook.audit.chain import Entry

_OUTCOMES = {
    "completed": "completed",
    "RefusedByPerson": "refused",
    "Refused": "refused",
    "Held": "refused",
    "NotAnswered": "not answered",
    "Interrupted": "interrupted",
    "KeyboardInterrupt": "interrupted",
    "SystemExit": "interrupted",
    "TerminationSignal": "interrupted",
}
CUT_OFF = "cut off"
_ABOUT = ("runbook", "cluster", "requested_by", "host", "version")
_BACKUP = ("role", "id", "size", "stored", "seconds", "finished")
_ANSWERED = ("decision", "approver", "reason", "door", "verified", "answered_at")


REJECTED = "rejected"
"""What stands in place of the decision of an answer that did not count."""


@dataclass
class Summary:
    """Folds the entries of a run, one after the other, into what a list of runs shows."""

    outcome: str = CUT_OFF
    fields: Entry = field(default_factory=dict)
    answers: list[Entry] = field(default_factory=list)
    backups: dict[str, Entry] = field(default_factory=dict)
    ended: bool = False

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Summary:
        """Fold a whole record."""
        made = cls()
        for entry in entries:
            made.take(entry)
        return made

    def take(self, entry: Entry) -> None:
        """Fold one entry in."""
        event = entry["event"]
        if event == "start":
            self._start(entry)
        elif event == "answer":
            self.answers.append(_answered(entry))
        elif event == "parts" or (event == "backup" and not is_of_a_part(entry)):
            self._backup({name: entry[name] for name in _BACKUP if name in entry})
        elif event == "waiting":
            self.outcome, self.ended = "waiting", False
        elif event == "end":
            self._end(entry)

    def _start(self, entry: Entry) -> None:
        self.outcome, self.ended = CUT_OFF, False
        self.fields.pop("error", None)
        self.fields |= {name: entry[name] for name in _ABOUT if name in entry}
        self.fields.setdefault("began", entry.get("began", entry.get("at", "")))
        parameters = entry.get("parameters")
        if isinstance(parameters, dict) and parameters.get("reason"):
            self.fields["reason"] = str(parameters["reason"])

    def _backup(self, one: Entry) -> None:
        """Keep what a run has taken, restored or verified; databases one by one come to one.

        The same dump on another server, or told again by a run that went on, is no more data.
        """
        if any(each.get("role") != one.get("role") for each in self.backups.values()):
            self.backups.clear()
        self.backups[str(one.get("id", ""))] = one
        self.fields["backup"] = _as_one(list(self.backups.values()))

    def _end(self, entry: Entry) -> None:
        said = str(entry.get("outcome", ""))
        self.outcome, self.ended = _OUTCOMES.get(said, "failed"), True
        if self.outcome == "completed" and entry.get("changed") == 0:
            self.outcome = "nothing to do"
        for name in ("changed", "measured"):
            if name in entry:
                self.fields[name] = entry[name]
        if entry.get("error"):
            self.fields["error"] = str(entry["error"])[:600]

    def told(self) -> Entry:
        """Give the fields for the index."""
        answers = {"answers": self.answers} if self.answers else {}
        return {"outcome": self.outcome, **self.fields, **answers}


def is_of_a_part(entry: Entry) -> bool:
    """Tell whether a part of a larger run wrote this: its backup alone is not that run's."""
    return "." in str(entry.get("step", ""))


def _as_one(backups: Sequence[Entry]) -> Entry:
    """Add up bytes; they were taken side by side, so that the longest tells the seconds."""
    told = {name: [each[name] for each in backups if name in each] for name in _BACKUP}
    folds: dict[str, Callable[[list[Any]], object]] = {
        "id": ", ".join,
        "size": sum,
        "stored": sum,
        "seconds": max,
        "finished": max,
    }
    return {
        name: folds[name](values) if name in folds and len(values) > 1 else values[0]
        for name, values in told.items()
        if values
    }


def _answered(entry: Entry) -> Entry:
    """Give what is kept of an answer."""
    kept = {name: entry[name] for name in _ANSWERED if name in entry}
    if entry.get("counts") is False and entry.get("decision") == "approve":
        kept |= {"decision": REJECTED, "reason": str(entry.get("why", ""))}
    return kept
