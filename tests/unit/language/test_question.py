"""The question of a procedure: when it is asked, of what, and what an answer lets happen."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook import approve, ensure, fact, step
from runbook.actions import Work
from runbook.approval import Answer, ApprovalNeeded, Nobody, NotAnswered, RefusedByPerson
from runbook.drive import Driver
from runbook.errors import Refused, RunbookError
from runbook.plan import Plan
from runbook.run import current
from runbook.watch import LogWatcher
from tests.unit.language.scene import Door, Shelf, asking, drive, order


def test_what_stands_before_the_question_is_done_before_it_is_asked(
    tmp_path: Path, shelf: Shelf
) -> None:
    door = Door()
    drive(tmp_path, asking(shelf), door)
    (plan,) = door.asked
    assert plan.lines[0].outcome == "already so"
    assert shelf.has("changed")


def test_a_question_with_no_change_behind_it_is_not_open_in_the_plan(
    tmp_path: Path, shelf: Shelf
) -> None:
    drive(tmp_path, asking(shelf), Door())
    plan = Driver(tmp_path / "state", Nobody(), LogWatcher()).dry_run(order(asking(shelf))).plan
    assert [line.outcome for line in plan.lines if line.kind == "approval"] == ["not needed"]


def test_nobody_is_asked_when_nothing_is_left_to_change(tmp_path: Path, shelf: Shelf) -> None:
    door = Door()
    drive(tmp_path, asking(shelf), door)
    assert drive(tmp_path, asking(shelf), door).changed == 0
    assert len(door.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"decision": "refuse"},
        {"confirm": "sohp"},
        {"confirm": ""},
        {"plan_digest": "0" * 64},
    ],
    ids=["refused", "wrong name", "no name", "another plan"],
)
def test_without_a_valid_approval_nothing_behind_it_is_done(
    tmp_path: Path, shelf: Shelf, answer: dict[str, str]
) -> None:
    with pytest.raises(Refused):
        drive(tmp_path, asking(shelf), Door(**answer))
    assert shelf.has("ready")


def test_a_plan_that_changed_while_people_thought_is_asked_again(
    tmp_path: Path, shelf: Shelf
) -> None:
    moved = {"to": "first"}

    class Moving(Door):
        def ask(self, plan: Plan, question: str) -> Answer:
            moved["to"] = "second"
            return super().ask(plan, question)

    def body() -> None:
        with step("1", "Ask"):
            fact("target", moved["to"])
            approve("Shall it be?")
        with step("2", "Change"):
            ensure("changed", holds=lambda: shelf.has("x"), by=[shelf.put("x")])

    door = Moving()
    drive(tmp_path, body, door)
    assert len(door.asked) == 2
    assert door.asked[0].digest != door.asked[1].digest


def test_an_unbound_fact_does_not_change_what_was_approved() -> None:
    def plan(size: str) -> Plan:
        from runbook.plan import Fact

        return Plan(
            runbook="r",
            cluster="c",
            parameters={},
            facts=(Fact(name="free", value=size, bound=False), Fact(name="node", value="n")),
        )

    assert plan("1 GB").digest == plan("2 GB").digest


def test_a_time_out_at_the_question_ends_the_run(tmp_path: Path, shelf: Shelf) -> None:
    class Silent:
        def ask(self, plan: Plan, question: str) -> Answer:
            raise NotAnswered("nobody answered in 24 h")

    with pytest.raises(NotAnswered):
        drive(tmp_path, asking(shelf), Silent())
    assert shelf.has("ready")


def test_the_question_is_asked_outside_the_lock(tmp_path: Path, shelf: Shelf) -> None:
    class Busy(Door):
        def ask(self, plan: Plan, question: str) -> Answer:
            Driver(tmp_path / "state", Nobody(), LogWatcher()).run(order(lambda: None))
            return super().ask(plan, question)

    drive(tmp_path, asking(shelf), Busy())
    assert shelf.has("changed")


def test_refusal_by_a_person_is_told_apart() -> None:
    assert issubclass(RefusedByPerson, Refused)
    assert not issubclass(ApprovalNeeded, RunbookError)


def test_a_refusal_takes_back_what_was_prepared(shelf: Shelf, tmp_path: Path) -> None:
    def put_back() -> str:
        assert not current().planning, "it is done in the run that was refused"
        return shelf.put("as before").perform().said

    def body() -> None:
        with step("1", "Prepare"):
            ensure("it is prepared", holds=lambda: shelf.has("staged"), by=[shelf.put("staged")])
            current().if_refused.append(Work("shelf", "put back", put_back))
        with step("2", "Swap"):
            approve("Go?")
            ensure("it is swapped", holds=lambda: shelf.has("swapped"), by=[shelf.put("swapped")])

    driver = Driver(tmp_path / "state", Door(decision="refuse"), LogWatcher())
    with pytest.raises(RefusedByPerson):
        driver.run(order(body))
    assert shelf.has("as before")
