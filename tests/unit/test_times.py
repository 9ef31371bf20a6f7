"""Where the time went: the last walk of a record, without the waiting for people."""

from __future__ import annotations

from runbook.audit import Entry
from runbook.times import StepTime, bars, chart, step_times, total


def entry(second: float, event: str, **fields: object) -> Entry:
    return {"at": f"2026-03-01T02:00:{second:06.3f}+00:00", "event": event, **fields}


def step(second: float, number: str, title: str) -> Entry:
    return entry(second, "step", step=number, title=title)


WAITED = [
    entry(0, "start"),
    entry(1, "plan"),
    step(1, "1", "Look"),
    entry(5, "asked"),
    entry(5, "waiting"),
    entry(40, "start"),
    step(41, "1", "Look"),
    entry(42, "asked"),
    entry(43, "answer"),
    entry(44.5, "plan"),
    step(45, "1", "Look"),
    step(45.25, "2", "Act"),
    entry(46, "intent"),
    step(49.25, "3", "Prove"),
    entry(50, "end"),
]


def test_only_the_last_walk_counts_and_what_came_before_its_first_step_is_told() -> None:
    times = step_times(WAITED)
    assert [(time.number, time.seconds) for time in times] == [
        ("", 2.0),
        ("1", 0.25),
        ("2", 4.0),
        ("3", 0.75),
    ]
    assert total(times) == 7.0


def test_a_step_that_failed_lasts_until_the_end_and_a_refused_run_has_no_times() -> None:
    cut = [*WAITED[:-2], entry(47, "failed"), entry(48, "end")]
    assert [time.seconds for time in step_times(cut)] == [2.0, 0.25, 2.75]
    assert step_times(WAITED[:9]) == ()
    assert step_times([]) == ()


def test_the_longest_bar_is_the_widest_and_none_is_empty() -> None:
    times = (StepTime("1", "Look", 0.0), StepTime("2", "Act", 60.0), StepTime("3", "Prove", 30.0))
    assert [len(bar) for _, bar in bars(times)] == [1, 30, 15]
    lines = chart(times).splitlines()
    assert lines[3] == f"| 2 | Act | 1 min 0 s | `{'█' * 30}` |"
    assert lines[-1] == "| | | 1 min 30 s | |"
