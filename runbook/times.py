"""Where the time of a run went, step by step, as a small chart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from runbook.audit import Entry
from runbook.units import readable_seconds

_WIDTH = 30
_BEFORE = "Lock the cluster and make the plan"


@dataclass(frozen=True)
class StepTime:
    """How many seconds a step took; without a number, what came before the first step."""

    number: str
    title: str
    seconds: float


def step_times(entries: Sequence[Entry]) -> tuple[StepTime, ...]:
    """Read the times of the last walk through a procedure from its record.

    Waiting for people is none of them: a walk begins anew with the answer. A step that failed
    lasts until the end.
    """
    walk = _last_walk(entries)
    began = [at for at, entry in enumerate(walk) if entry["event"] == "step"]
    if not began:
        return ()
    before = StepTime("", _BEFORE, _between(walk[0], walk[began[0]]))
    ends = [*began[1:], len(walk) - 1]
    steps = (
        StepTime(str(walk[at]["step"]), str(walk[at]["title"]), _between(walk[at], walk[end]))
        for at, end in zip(began, ends, strict=True)
    )
    return (before, *steps)


def bars(times: Sequence[StepTime]) -> Iterator[tuple[StepTime, str]]:
    """Give each time with its bar; that of the longest is as wide as the chart."""
    longest = max((time.seconds for time in times), default=0.0) or 1.0
    for time in times:
        yield time, "█" * max(1, round(_WIDTH * time.seconds / longest))


def total(times: Sequence[StepTime]) -> float:
    """Give all times together, in seconds."""
    return sum(time.seconds for time in times)


def chart(times: Sequence[StepTime]) -> str:
    """Draw the bars as a Markdown table."""
    lines = [
        f"| {time.number} | {time.title} | {readable_seconds(time.seconds)} | `{bar}` |"
        for time, bar in bars(times)
    ]
    head = ["| step | | time | |", "|---|---|--:|---|"]
    return "\n".join([*head, *lines, f"| | | {readable_seconds(total(times))} | |"])


def _last_walk(entries: Sequence[Entry]) -> Sequence[Entry]:
    begins = [at for at, entry in enumerate(entries) if entry["event"] in ("start", "answer")]
    return entries[begins[-1] :] if begins else ()


def _between(first: Entry, second: Entry) -> float:
    then, now = (datetime.fromisoformat(str(entry["at"])) for entry in (first, second))
    return (now - then).total_seconds()
