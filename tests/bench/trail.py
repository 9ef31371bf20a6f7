"""What a run's audit record tells of its time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from runbook.audit import read_trail


@dataclass(frozen=True)
class Done:
    """An action as it was recorded: its line, its seconds, and when it ended (epoch)."""

    line: str
    seconds: float
    ended: float


def actions(path: str) -> tuple[Done, ...]:
    """List the actions of a run in order."""
    found, line = [], ""
    for entry in read_trail(Path(path)):
        if entry["event"] == "intent":
            line = str(entry["command"])
        elif entry["event"] == "done":
            ended = datetime.fromisoformat(str(entry["at"])).timestamp()
            found.append(Done(line, float(str(entry["seconds"])), ended))
    return tuple(found)


def action(path: str, *words: str) -> Done:
    """Give the one action whose line holds all these words."""
    (found,) = (done for done in actions(path) if all(word in done.line for word in words))
    return found


def before(path: str, *words: str) -> float:
    """Sum up the seconds of the actions before the one whose line holds all these words."""
    end = action(path, *words)
    return sum(done.seconds for done in actions(path) if done.ended < end.ended)


def seconds(path: str) -> float:
    """Sum up the seconds of a run's actions."""
    return sum(done.seconds for done in actions(path))
