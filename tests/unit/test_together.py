"""Several goals at the same time: none hides another, and every change is on record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runbook import ensure, fact, note, together
from runbook.actions import Work
from runbook.audit import AuditTrail, read_trail
from runbook.errors import CheckFailed, RunbookError
from runbook.run import Mode, Run, opened
from runbook.watch import LogWatcher


def run(mode: Mode, trail: AuditTrail | None = None) -> Run:
    return Run("1", "demo", "shop", {}, mode, LogWatcher(), trail)


def goal(name: str, *commands: str, fails: bool = False) -> Callable[[], None]:
    done: list[str] = []

    def work() -> None:
        note(f"{name} begins")
        actions = [Work(name, command, lambda: done.append(name) or "done") for command in commands]
        ensure(f"{name} is so", holds=lambda: len(done) == len(commands) > 0, by=actions)
        if fails:
            raise CheckFailed(f"{name} failed")

    return work


def test_the_lines_stand_in_order_and_every_change_counts() -> None:
    with opened(run(Mode.ACT)) as acting:
        together([goal("a", "one", "two"), goal("b", "one")])
    lines = [line.text for line in acting.plan().lines]
    assert lines == ["a begins", "a is so", "b begins", "b is so"]
    assert acting.changed == 3


@pytest.mark.parametrize("mode", Mode)
def test_they_run_at_the_same_time(mode: Mode) -> None:
    barrier = threading.Barrier(3, timeout=10)
    with opened(run(mode)):
        together([lambda: bool(barrier.wait()) and None] * 3)
    assert not barrier.broken


def test_no_more_than_allowed_run_at_the_same_time() -> None:
    now, most, lock = [0], [0], threading.Lock()

    def work() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1

    with opened(run(Mode.ACT)):
        together([work] * 5, at_once=2)
    assert most == [2]


@pytest.mark.parametrize("mode", Mode)
def test_one_that_fails_lets_the_others_end_and_all_are_told(mode: Mode) -> None:
    with opened(run(mode)) as acting, pytest.raises(RunbookError) as raised:
        together([goal("a", fails=True), goal("b", "one"), goal("c", fails=True)])
    assert "2 of them failed" in str(raised.value) or mode is Mode.ACT
    assert "b begins" in [line.text for line in acting.plan().lines]


def test_a_single_failure_is_told_as_it_is() -> None:
    def failing() -> None:
        raise CheckFailed("b failed", hint="look")

    with opened(run(Mode.ACT)), pytest.raises(CheckFailed, match="b failed"):
        together([goal("a", "one"), failing])


def test_a_plan_asks_each_as_if_the_others_were_not() -> None:
    def already() -> None:
        fact("seen", "yes")
        ensure("c is so", holds=lambda: True, by=[Work("c", "one", lambda: "")])

    with opened(run(Mode.PLAN)) as planning:
        together([goal("a", "one"), already])
    assert [line.outcome for line in planning.plan().lines] == ["note", "planned", "already so"]
    assert [fact.name for fact in planning.plan().facts] == ["seen"]


def test_the_record_stays_whole(tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path / "run.jsonl")
    with opened(run(Mode.ACT, trail)):
        together([goal(str(number), *("one",) * 20) for number in range(8)])
    trail.close()
    intents = [entry for entry in read_trail(trail.path) if entry["event"] == "intent"]
    assert len(intents) == 160
