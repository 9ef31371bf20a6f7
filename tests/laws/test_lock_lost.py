"""The laws of the lock on a host: a run that has lost it changes nothing beside another run."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.lab import processes, trouble
from tests.lab.loopback import LoopbackLab
from tests.laws import backup_scene
from tests.laws.backup_scene import CLUSTER, Scene
from tests.laws.driver import Runner, Running
from tests.laws.outcome import Outcome, Point

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Scene:
    """Build the instance once."""
    return backup_scene.build(loopback_lab, "lost")


@pytest.fixture
def scene(built: Scene) -> Iterator[Scene]:
    """Give the instance with an empty store."""
    built.empty()
    yield built
    processes.until(lambda: not built.traces(), "nothing is left", within=60)


def elsewhere(scene: Scene) -> Runner:
    """Give a worker that only the lock on the host can keep out."""
    return replace(scene.runner, state=scene.base / "state" / "elsewhere")


def halted(scene: Scene) -> Running:
    """Begin a backup that stands still before its first change."""
    halt = Point("4", signal=signal.SIGSTOP)
    running = scene.runner.start("base-backup", cluster=CLUSTER, at=halt)
    running.halted()
    return running


def gone_on(scene: Scene, deed: Callable[[], object]) -> Outcome:
    """Do something while a backup stands still, and give how it ended."""
    running = halted(scene)
    try:
        deed()
    finally:
        running.send(signal.SIGCONT)
    return running.outcome()


def locked_again(outcome: Outcome) -> list[str]:
    """Give what the record tells of locks that were taken again."""
    return [str(each["said"]) for each in outcome.record if each["event"] == "locked again"]


def test_a_run_that_has_lost_its_lock_stops_when_another_was_in(scene: Scene) -> None:
    def another() -> None:
        scene.first.host.cut_sessions()
        outcome = elsewhere(scene).run("base-backup", cluster=CLUSTER)
        assert outcome.completed, outcome.said

    first = gone_on(scene, another)
    assert first.ended == "LockLost", first.said
    assert "another run" in first.said
    assert "HINT:" in first.said
    assert first.commands == []
    assert len(scene.ids) == 1


def test_a_run_that_has_lost_its_lock_stops_while_another_holds_it(scene: Scene) -> None:
    others: list[Running] = []

    def another() -> None:
        scene.first.host.cut_sessions()
        halt = Point("2", signal=signal.SIGSTOP)
        others.append(elsewhere(scene).start("base-backup", cluster=CLUSTER, at=halt))
        others[0].halted()

    first = gone_on(scene, another)
    others[0].send(signal.SIGCONT)
    second = others[0].outcome()
    assert first.ended == "LockLost", first.said
    assert first.commands == []
    assert second.completed, second.said
    assert len(scene.ids) == 1


def test_a_lock_that_nobody_else_took_is_taken_again_and_that_is_on_record(scene: Scene) -> None:
    outcome = gone_on(scene, scene.first.host.cut_sessions)
    assert outcome.completed, outcome.said
    assert len(locked_again(outcome)) == 1
    assert scene.first.host.name in locked_again(outcome)[0]
    whole = scene.run()
    assert whole.completed, whole.said
    assert locked_again(whole) == []


def test_a_session_of_its_own_that_outlives_its_connection_keeps_no_run_out(scene: Scene) -> None:
    running = halted(scene)
    with trouble.half_open(scene.first.host):
        running.send(signal.SIGCONT)
        outcome = running.outcome()
        assert outcome.completed, outcome.said
        assert len(locked_again(outcome)) == 1
        again = elsewhere(scene).run("base-backup", cluster=CLUSTER)
        assert again.completed, again.said
