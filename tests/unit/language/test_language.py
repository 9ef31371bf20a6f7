"""The words of a procedure, in both modes."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook import Need, approve, check, ensure, step
from runbook.actions import Work
from runbook.approval import Nobody
from runbook.drive import Driver
from runbook.errors import CheckFailed, GoalNotReached, Refused, RunbookError
from runbook.run import current
from runbook.watch import LogWatcher
from tests.unit.language.scene import Shelf, drive, order


def test_a_dry_run_lists_the_actions_and_changes_nothing(tmp_path: Path, shelf: Shelf) -> None:
    def body() -> None:
        with step("1", "Write"):
            ensure("the file is written", holds=lambda: shelf.has("a"), by=[shelf.put("a")])

    plan = drive(tmp_path, body, dry_run=True).plan
    assert shelf.performed == 0
    assert not (tmp_path / "state").exists()
    assert plan.changes == 1
    assert "write a" in plan.markdown()


def test_a_second_run_finds_everything_already_so(tmp_path: Path, shelf: Shelf) -> None:
    def body() -> None:
        with step("1", "Write"):
            ensure("the file is written", holds=lambda: shelf.has("a"), by=[shelf.put("a")])

    assert drive(tmp_path, body).changed == 1
    assert drive(tmp_path, body).changed == 0
    assert shelf.performed == 1


def test_a_goal_that_does_not_hold_after_the_actions_is_an_error(tmp_path: Path) -> None:
    def body() -> None:
        with step("1", "Write"):
            ensure("never", holds=lambda: False, by=[Work("here", "nothing", lambda: "")])

    with pytest.raises(GoalNotReached, match="test step 1: not reached in 0 s: never"):
        drive(tmp_path, body)


def test_a_need_is_asked_at_the_moment_of_danger_and_not_while_planning(
    tmp_path: Path, shelf: Shelf
) -> None:
    def body() -> None:
        with step("1", "Write"):
            ensure(
                "the file is written",
                holds=lambda: shelf.has("a"),
                needs=[Need("it is safe", lambda: False, seen=lambda: "it is not")],
                by=[shelf.put("a")],
            )

    assert drive(tmp_path, body, dry_run=True).plan.changes == 1
    with pytest.raises(CheckFailed, match="it is safe"):
        drive(tmp_path, body)
    assert shelf.performed == 0


def test_checks_before_the_first_planned_change_are_real_and_later_ones_are_open(
    tmp_path: Path, shelf: Shelf
) -> None:
    def body() -> None:
        with step("1", "Look"):
            check("the world is there", lambda: True)
            ensure("the file is written", holds=lambda: shelf.has("a"), by=[shelf.put("a")])
            check("the file can be read", lambda: shelf.has("a"))

    outcomes = [line.outcome for line in drive(tmp_path, body, dry_run=True).plan.lines]
    assert outcomes == ["checked", "planned", "open"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_check_of_what_is_done_already_asks_nothing_and_says_so(
    tmp_path: Path, shelf: Shelf, *, dry_run: bool
) -> None:
    def body() -> None:
        with step("1", "Look"):
            check("it can be done", lambda: shelf.has("x"), unless=lambda: True)

    outcomes = [line.outcome for line in drive(tmp_path, body, dry_run=dry_run).plan.lines]
    assert outcomes == ["not needed"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_goal_that_is_not_needed_is_not_told_as_reached(
    tmp_path: Path, shelf: Shelf, *, dry_run: bool
) -> None:
    def body() -> None:
        with step("1", "Stop"):
            ensure(
                "it stands", holds=lambda: shelf.has("x"), by=[shelf.put("x")], unless=lambda: True
            )

    plan = drive(tmp_path, body, dry_run=dry_run).plan
    assert [line.outcome for line in plan.lines] == ["not needed"]
    assert "- · it stands — *not needed*" in plan.markdown()
    assert shelf.performed == 0


def test_a_plan_that_changes_nothing_says_why(tmp_path: Path, shelf: Shelf) -> None:
    def page(*, look: bool, reach: bool = False) -> str:
        def body() -> None:
            with step("1", "Look"):
                check("it is there", lambda: True)
            with step("2", "Reach"):
                if reach:
                    ensure("one", holds=lambda: look, by=[shelf.put("one")])

        return drive(tmp_path, body, dry_run=True).plan.markdown()

    assert "Nothing would change: it only reads." in page(look=True)
    assert "### 2. Reach\n\n(nothing to change here)\n" in page(look=True)
    assert "Nothing would change: everything is already so." in page(look=True, reach=True)
    assert "\n1 command would change something." in page(look=False, reach=True)


def test_reading_is_planned_and_recorded_but_is_no_change(shelf: Shelf, tmp_path: Path) -> None:
    read: list[str] = []

    def body() -> None:
        with step("1", "Verify"):
            ensure(
                "the shelf was read",
                holds=lambda: bool(read),
                by=[Work("shelf", "read it", lambda: read.append("all") or "all", changes=False)],
            )
            approve("Go?")

    driver = Driver(tmp_path / "state", Nobody(), LogWatcher())
    assert driver.dry_run(order(body)).plan.changes == 0
    result = driver.run(order(body))
    assert (result.changed, read) == (0, ["all"])


def test_two_runs_on_one_cluster_exclude_each_other(tmp_path: Path) -> None:
    def body() -> None:
        inner = Driver(tmp_path / "state", Nobody(), LogWatcher())
        with pytest.raises(Refused, match="another run holds cluster shop"):
            inner.run(order(lambda: None))

    drive(tmp_path, body)


def test_steps_outside_a_run_are_refused() -> None:
    with pytest.raises(RunbookError, match="no run is open"):
        current()
