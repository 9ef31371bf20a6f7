"""The laws of DESIGN section 4 for managed-restore."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.lab import processes
from tests.lab.manager import LOG_USER, instance
from tests.laws.managed_scene import AFTER, BEFORE, PASSWORD, Scene
from tests.laws.outcome import Outcome, Point

pytestmark = pytest.mark.lab

ORDER = "POST /backup_agent/restores"


def restore(scene: Scene, **arguments: object) -> Outcome:
    return scene.run("managed-restore", **arguments)


def assert_restored(scene: Scene, outcome: Outcome, *, orders: int = 1) -> None:
    """Judge from outside that the ledger is that of the backup, put back once."""
    assert outcome.completed, outcome.said
    assert scene.manager.rows() == BEFORE
    assert scene.manager.count(ORDER) == orders
    assert scene.manager.log.read_text().count('"POST /v1/restore') == 1 + orders


def test_a_dry_run_orders_nothing_and_names_what_will_be_forgotten(scene: Scene) -> None:
    newer = scene.manager.add(AFTER, age=60)
    scene.manager.others = [instance("sb-7", datetime.now(UTC))]
    with scene.unchanged():
        outcome = restore(scene, backup="147", dry_run=True)
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    shown = outcome.plan.markdown()
    assert scene.manager.count("POST") == 0
    assert f"{scene.manager.url}/backup_agent/restores -d backup_id=147 -d instance_id=38" in shown
    facts = {fact.name: fact.value for fact in outcome.plan.facts}
    ghosts = facts["the restored state will not know"]
    assert ghosts == f"1 backup, 1 instance: sb-7, {newer.backup_id}"
    assert "tail -f" in shown
    assert PASSWORD not in shown
    assert LOG_USER not in shown


def test_a_restore_reaches_its_goal_and_a_second_one_changes_nothing(scene: Scene) -> None:
    """The restored manager says that its own backup still runs; it counts as done all the same."""
    newer = scene.manager.add(AFTER, age=60)
    scene.manager.others = [instance("sb-7", datetime.now(UTC))]
    first = restore(scene, backup="147")
    assert_restored(scene, first)
    assert f"backup {newer.backup_id}" in first.told
    assert "instance sb-7" in first.told
    assert scene.manager.turned_away > 0
    assert [job.status for job in scene.manager.backups] == ["running"]
    assert float(str(first.memory["recovery point seconds"])) > 3500
    assert float(str(first.memory["recovery time seconds"])) > 0.5
    for wanted in ("147", "latest"):
        with scene.unchanged():
            second = restore(scene, backup=wanted)
        assert (second.ended, second.changed) == ("completed", 0), second.said
    assert scene.manager.count(ORDER) == 1


def test_once_more_only_when_it_is_wanted_or_somebody_else_has_restored(scene: Scene) -> None:
    assert_restored(scene, restore(scene))
    scene.manager.backups[0].frozen = ""
    scene.write(AFTER)
    again = restore(scene, again=True)
    assert_restored(scene, again, orders=2)
    scene.manager.tell_request("/v1/restore")
    scene.manager.backups[0].frozen = ""
    elses = restore(scene)
    assert elses.completed, elses.said
    assert elses.changed == 1


@pytest.mark.parametrize(
    "point", [*(Point(str(n)) for n in (2, 4, 5, 6)), Point("4", 1), Point("5", 1)], ids=str
)
def test_killed_and_started_again_it_finishes_and_restores_once(scene: Scene, point: Point) -> None:
    scene.manager.outage = 3.0 if point == Point("4") else 0.5
    killed = restore(scene, at=point)
    assert killed.ended == "killed"
    outcome = restore(scene)
    assert_restored(scene, outcome)
    assert restore(scene).changed == 0


def test_cancelled_in_the_outage_it_goes_on_without_asking_the_manager(scene: Scene) -> None:
    scene.manager.outage = 3.0
    newer = scene.manager.add(AFTER, age=60)
    cancelled = restore(scene, backup="147", at=Point("5", 1, signal=signal.SIGTERM))
    assert cancelled.ended == "_Terminated"
    other = restore(scene, backup="146")
    assert other.ended == "Refused"
    assert "is under way" in other.said
    outcome = restore(scene)
    assert_restored(scene, outcome)
    assert f"backup {newer.backup_id}" in outcome.told


@pytest.mark.parametrize("at", [None, Point("5", 1)], ids=["lives", "killed"])
def test_a_lost_answer_orders_nothing_twice(scene: Scene, at: Point | None) -> None:
    scene.manager.faults = {ORDER: ["lost"]}
    first = restore(scene, at=at)
    assert first.ended == ("killed" if at else "completed"), first.said
    assert_restored(scene, restore(scene))


def test_an_order_that_never_arrived_is_told_and_given_by_the_next_run(scene: Scene) -> None:
    scene.manager.faults = {ORDER: ["unheard"]}
    outcome = restore(scene)
    assert outcome.ended == "Unclear"
    assert scene.manager.rows() == AFTER
    assert_restored(scene, restore(scene))


def rotated(scene: Scene) -> None:
    log = scene.manager.log
    log.rename(f"{log}.1")
    log.write_text("")
    log.chmod(0o644)


def rotated_late(scene: Scene) -> None:
    log = scene.manager.log
    log.rename(f"{log}.1")
    time.sleep(0.5)
    log.write_text("")
    log.chmod(0o644)


def emptied(scene: Scene) -> None:
    scene.manager.log.write_text("")


def emptied_and_grown(scene: Scene) -> None:
    scene.manager.log.write_text(f"D, {'x' * 200}\n" * 50)


def talked_over(scene: Scene) -> None:
    scene.manager.tell("I, [2018-11-20T12:13:00.9 #31554]  INFO -- : a table\n" * 2500)


@pytest.mark.parametrize(
    "happens", [rotated, rotated_late, emptied, emptied_and_grown, talked_over]
)
def test_a_log_that_does_not_stay_as_it_was_hides_no_success(
    scene: Scene, happens: Callable[[Scene], None]
) -> None:
    scene.manager.outage, scene.settings = 6.0, {"restore_within": "PT20S"}
    running = scene.runner.start("managed-restore", cluster=scene.name)
    begun = lambda: scene.manager.log.read_text().count('"POST /v1/restore') == 2  # noqa: E731
    processes.until(begun, "the restore has begun")
    time.sleep(1)
    happens(scene)
    outcome = running.outcome()
    assert outcome.completed, outcome.said
    assert scene.manager.rows() == BEFORE
    assert restore(scene).completed
    assert scene.manager.count(ORDER) == 1


@pytest.mark.parametrize("worker", ["lives", "was killed"])
def test_a_log_that_is_rotated_after_the_success_hides_none(scene: Scene, worker: str) -> None:
    scene.manager.outage, scene.settings = 8.0, {"restore_within": "PT20S"}
    at = Point("5", 1) if worker == "was killed" else None
    running = scene.runner.start("managed-restore", cluster=scene.name, at=at)
    done = lambda: scene.manager.log.read_text().count("success") == 2  # noqa: E731
    processes.until(done, "the agent has succeeded")
    time.sleep(1)
    rotated(scene)
    if worker == "was killed":
        assert running.outcome().ended == "killed"
        running = scene.runner.start("managed-restore", cluster=scene.name)
    outcome = running.outcome()
    assert outcome.completed, outcome.said
    assert scene.manager.rows() == BEFORE
    assert scene.manager.count(ORDER) == 1


def test_a_restore_that_failed_is_told_with_the_agent_s_own_words(scene: Scene) -> None:
    scene.manager.restore_fails = True
    outcome = restore(scene)
    assert outcome.ended == "CommandFailed"
    assert "psql: server closed" in outcome.said
    assert LOG_USER not in outcome.said
    scene.manager.restore_fails = False
    again = restore(scene)
    assert again.completed, again.said
    assert scene.manager.rows() == BEFORE


def test_a_log_that_is_rotated_after_the_failure_hides_none(scene: Scene) -> None:
    scene.manager.outage, scene.settings = 6.0, {"restore_within": "PT20S"}
    scene.manager.restore_fails = True
    running = scene.runner.start("managed-restore", cluster=scene.name)
    failed = lambda: "psql: server closed" in scene.manager.log.read_text()  # noqa: E731
    processes.until(failed, "the agent has failed")
    time.sleep(1)
    rotated(scene)
    outcome = running.outcome()
    assert outcome.ended == "CommandFailed", outcome.said
    assert "psql: server closed" in outcome.said


def test_one_that_does_not_end_is_told_and_waited_for_by_the_next_run(scene: Scene) -> None:
    scene.manager.outage, scene.settings = 4.0, {"restore_within": "PT1S"}
    late = restore(scene)
    assert late.ended == "GoalNotReached"
    assert "does not answer" in late.said
    scene.settings = {}
    assert_restored(scene, restore(scene))


def test_bad_orders_are_refused_before_anything_is_ordered(scene: Scene) -> None:
    broken = scene.manager.add(AFTER, age=60)
    broken.frozen = "failed"
    with scene.unchanged():
        assert "knows no backup '7'" in restore(scene, backup="7").said
        assert "is failed" in restore(scene, backup=broken.backup_id).said
        scene.manager.backups[0].downloadable = False
        assert "latest-downloadable" in restore(scene, backup="latest-downloadable").said
        broken.frozen = "running"
        assert "is not at work" in restore(scene).said
        broken.frozen = "deleted"
        assert restore(scene, answer="refuse").ended == "RefusedByPerson"
    scene.settings = {"log": "/nowhere/production.log"}
    unread = restore(scene)
    assert unread.ended == "CheckFailed"
    assert "manager.log" in unread.said
    assert scene.manager.count("POST") == 0
    assert scene.manager.rows() == AFTER


def test_a_manager_that_lists_no_instances_is_told(scene: Scene) -> None:
    scene.manager.lists_instances = False
    outcome = restore(scene, dry_run=True)
    assert outcome.plan is not None
    assert "instances are not listed by the manager" in outcome.plan.markdown()


def test_a_cluster_that_is_not_healthy_afterwards_is_told(scene: Scene) -> None:
    scene.cluster = {"health": [{"name": "broker", "url": "http://127.0.0.1:9/", "within": 0}]}
    outcome = restore(scene)
    assert outcome.ended == "CheckFailed"
    assert "broker" in outcome.said
    scene.cluster = {}
    assert_restored(scene, restore(scene))
