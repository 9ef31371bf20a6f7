"""The laws of DESIGN section 4 for managed-backup."""

from __future__ import annotations

import signal

import pytest

from tests.lab import processes
from tests.laws.managed_scene import AFTER, PASSWORD, Scene
from tests.laws.outcome import Outcome, Point

pytestmark = pytest.mark.lab

ORDER = "POST /backup_agent/backup"
LONG = 600.0
"""Seconds of a backup that is under way until it is let end."""


def back_up(scene: Scene, **arguments: object) -> Outcome:
    return scene.run("managed-backup", **arguments)


def waited_for(scene: Scene) -> Outcome:
    """Back up; what the manager has under way ends when the run waits for it, and not before."""
    running = scene.runner.start("managed-backup", cluster=scene.name)
    acts = lambda: running.trail.exists() and '"intent"' in running.trail.read_text()  # noqa: E731
    processes.until(acts, "the run orders or waits")
    scene.manager.backups[-1].seconds = 0
    return running.outcome()


def assert_done(scene: Scene, outcome: Outcome, *, backups: int = 2) -> None:
    """Judge at the manager itself that the new backup holds what the database holds."""
    assert outcome.completed, outcome.said
    assert [job.status for job in scene.manager.backups] == ["done"] * backups
    assert scene.manager.backups[-1].content == AFTER
    (record,) = [entry for entry in outcome.record if entry["event"] == "backup"]
    assert record["id"] == scene.manager.backups[-1].backup_id


def test_a_dry_run_orders_nothing_and_shows_the_page_s_command(scene: Scene) -> None:
    with scene.unchanged():
        outcome = back_up(scene, dry_run=True)
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    assert scene.manager.count("POST") == 0
    shown = outcome.plan.markdown()
    assert f"{scene.manager.url}/backup_agent/backup -d instance_guid=a9s-pg" in shown
    assert "-u 'admin:***'" in shown
    assert PASSWORD not in shown
    assert scene.manager.backups[0].backup_id in shown


def test_a_backup_is_ordered_waited_for_and_each_run_makes_its_own(scene: Scene) -> None:
    with scene.unchanged():
        first = back_up(scene)
    assert_done(scene, first)
    assert first.changed == 1
    second = back_up(scene)
    assert_done(scene, second, backups=3)
    assert scene.manager.count(ORDER) == 2


@pytest.mark.parametrize("point", [*(Point(str(n)) for n in range(1, 5)), Point("2", 1)], ids=str)
def test_killed_and_started_again_it_finishes_and_waits_for_what_it_had_ordered(
    scene: Scene, point: Point
) -> None:
    scene.manager.seconds = LONG if point == Point("2") else 0.2
    killed = back_up(scene, at=point)
    assert killed.ended == "killed"
    outcome = waited_for(scene) if point == Point("2") else back_up(scene)
    assert outcome.completed, outcome.said
    ordered = 1 if point in (Point("1"), Point("2"), Point("2", 1)) else 2
    assert scene.manager.count(ORDER) == ordered
    assert_done(scene, outcome, backups=1 + ordered)


def test_the_same_run_takes_what_was_done_while_it_was_gone(scene: Scene) -> None:
    scene.manager.seconds = 0.1
    killed = back_up(scene, at=Point("3"), run_id="one")
    assert killed.ended == "killed"
    again = back_up(scene, run_id="one")
    assert again.completed, again.said
    assert scene.manager.count(ORDER) == 1


def test_cancelled_while_it_waits_it_goes_on_when_started_again(scene: Scene) -> None:
    scene.manager.seconds = LONG
    cancelled = back_up(scene, at=Point("3", 1, signal=signal.SIGTERM))
    assert cancelled.ended == "_Terminated"
    assert_done(scene, waited_for(scene))
    assert scene.manager.count(ORDER) == 1


def test_a_lost_answer_orders_nothing_twice(scene: Scene) -> None:
    scene.manager.faults = {ORDER: ["lost"]}
    outcome = back_up(scene)
    assert_done(scene, outcome)
    assert scene.manager.count(ORDER) == 1


def test_an_order_that_never_arrived_is_told_and_the_next_run_orders(scene: Scene) -> None:
    scene.manager.faults = {ORDER: ["502"]}
    outcome = back_up(scene)
    assert outcome.ended == "Unclear"
    assert "has not said whether" in outcome.said
    assert_done(scene, back_up(scene))


def test_a_manager_that_is_away_for_a_while_is_asked_again(scene: Scene) -> None:
    scene.manager.faults = {"GET": ["500", "unheard", "503"]}
    assert_done(scene, back_up(scene))


@pytest.mark.parametrize("fault", ["garbage", "shape"])
def test_an_answer_that_nobody_understands_is_told_before_anything_is_ordered(
    scene: Scene, fault: str
) -> None:
    scene.manager.faults = {"GET": [fault]}
    outcome = back_up(scene)
    assert outcome.ended == "NotUnderstood"
    assert scene.manager.count("POST") == 0


def test_a_manager_that_stays_away_or_hangs_is_told(scene: Scene) -> None:
    scene.manager.faults = {"GET": ["500"] * 50}
    away = back_up(scene)
    assert away.ended == "Unreachable"
    assert "500" in away.said
    scene.manager.faults = {"GET": ["hang"] * 5}
    scene.settings = {"timeout": 0.3, "patience": 0.2}
    hangs = back_up(scene)
    assert hangs.ended == "Unreachable"
    assert "ReadTimeout" in hangs.said
    assert scene.manager.count("POST") == 0


def test_a_wrong_password_and_a_wrong_certificate_are_told_as_such(scene: Scene) -> None:
    scene.environment = {"MANAGER": "another"}
    wrong = back_up(scene)
    assert wrong.ended == "CheckFailed"
    assert "does not accept the credentials" in wrong.said
    assert "another" not in wrong.said
    scene.environment, scene.settings = {}, {"certificate_authority": ""}
    untrusted = back_up(scene)
    assert untrusted.ended == "CheckFailed"
    assert "certificate" in untrusted.said


def test_a_backup_that_failed_is_told_and_the_next_run_makes_another(scene: Scene) -> None:
    scene.manager.fates = ["failed"]
    outcome = back_up(scene)
    assert outcome.ended == "CommandFailed"
    assert "no space left on device" in outcome.said
    again = back_up(scene)
    assert again.completed, again.said
    assert scene.manager.backups[-1].status == "done"


@pytest.mark.parametrize(("size", "said"), [(0, "has no byte"), (20 << 20, "47%")])
def test_a_size_that_cannot_be_right_is_told(scene: Scene, size: int, said: str) -> None:
    scene.manager.sizes = [size]
    outcome = back_up(scene)
    assert outcome.ended == "CheckFailed"
    assert said in outcome.said


def test_a_size_that_cannot_be_right_is_told_every_night_until_somebody_has_said_so(
    scene: Scene,
) -> None:
    scene.manager.sizes = [20 << 20, 20 << 20, 20 << 20]
    for _ in range(2):
        outcome = back_up(scene)
        assert outcome.ended == "CheckFailed"
        assert "47%" in outcome.said
        assert scene.manager.backups[0].backup_id in outcome.said
    scene.settings = {"smallest": 0.4}
    assert back_up(scene).completed


def test_one_that_does_not_end_is_told_and_waited_for_by_the_next_run(scene: Scene) -> None:
    scene.manager.seconds, scene.settings = LONG, {"backup_within": "PT1S"}
    late = back_up(scene)
    assert late.ended == "GoalNotReached"
    assert "is still" in late.said
    scene.settings = {}
    assert_done(scene, waited_for(scene))
    assert scene.manager.count(ORDER) == 1


def test_a_cluster_without_a_manager_is_refused(scene: Scene) -> None:
    scene.cluster = {"manager": None}
    outcome = back_up(scene)
    assert outcome.ended == "SettingsError"
    assert "manager_password" in outcome.said
