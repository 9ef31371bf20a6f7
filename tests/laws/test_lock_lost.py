"""The laws of the lock on a host: a run that has lost it changes nothing beside another run."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runbook.hosts import Host
from runbook.lock import only_run
from tests.lab import processes, shop, sshd, trouble
from tests.lab.loopback import LoopbackLab
from tests.laws import backup_scene, logical_recovery_scene, restore_scene
from tests.laws.backup_scene import CLUSTER, Scene
from tests.laws.driver import Runner, Running
from tests.laws.logical_recovery_scene import (
    Recoverable,
    assert_recovered,
    blocked,
    recover,
    unblock,
)
from tests.laws.outcome import Outcome, Point
from tests.laws.restore_scene import Scene as Restorable
from tests.laws.restore_scene import assert_restored

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


def cut_and_visited(host: sshd.Host, cluster: str, folder: Path) -> None:
    """Cut the connections to a host, and let a run of another worker and login be there."""
    host.cut_sessions()
    with only_run(folder, cluster, [Host(name=host.name)], holder="another run"):
        pass


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


def sessions(scene: Scene) -> int:
    """Count the sessions that were opened on the host to hold a lock."""
    return sum("PG_RUNBOOKS_WORKER=" in each.command for each in scene.first.host.journal)


def test_a_lock_that_nobody_else_took_is_taken_again_and_that_is_on_record(scene: Scene) -> None:
    before = sessions(scene)
    outcome = gone_on(scene, scene.first.host.cut_sessions)
    assert outcome.completed, outcome.said
    assert len(locked_again(outcome)) == 1
    assert scene.first.host.name in locked_again(outcome)[0]
    assert sessions(scene) == before + 2


def test_a_lock_that_stands_is_asked_for_once(scene: Scene) -> None:
    before = sessions(scene)
    outcome = scene.run()
    assert outcome.completed, outcome.said
    assert len(outcome.commands) == 2
    assert locked_again(outcome) == []
    assert sessions(scene) == before + 1


def test_a_host_that_cannot_be_reached_is_told_as_such(scene: Scene) -> None:
    running = halted(scene)
    with trouble.unreachable(scene.first.host):
        running.send(signal.SIGCONT)
        outcome = running.outcome()
    assert outcome.cut_off, outcome.said
    again = scene.run()
    assert again.completed, again.said


def test_a_session_of_its_own_that_outlives_its_connection_keeps_no_run_out(scene: Scene) -> None:
    running = halted(scene)
    with trouble.half_open(scene.first.host):
        running.send(signal.SIGCONT)
        outcome = running.outcome()
        assert outcome.completed, outcome.said
        assert len(locked_again(outcome)) == 1
        again = elsewhere(scene).run("base-backup", cluster=CLUSTER)
        assert again.completed, again.said


@pytest.fixture(scope="module")
def restorable(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Restorable:
    """Build an instance with a backup."""
    return restore_scene.build(loopback_lab, "lostr", tmp_path_factory.mktemp("lostr"))


@pytest.fixture
def damaged(restorable: Restorable) -> Iterator[Restorable]:
    """Give it as it was after the damage."""
    restorable.reset()
    yield restorable
    restorable.node.stop("immediate")


def test_a_restore_that_has_lost_its_lock_takes_back_what_it_was_making_ready(
    damaged: Restorable, tmp_path: Path
) -> None:
    before = shop.fingerprint(damaged.node)
    running = damaged.runner.start(
        "instance-restore",
        cluster=damaged.name,
        backup=damaged.backup,
        at=Point("2", 3, signal=signal.SIGSTOP),
    )
    running.halted()
    cut_and_visited(damaged.node.host, damaged.name, tmp_path)
    running.send(signal.SIGCONT)
    failed = running.outcome()
    assert failed.ended == "LockLost", failed.said
    assert damaged.leftovers() == []
    assert shop.fingerprint(damaged.node) == before
    again = damaged.restore()
    assert again.completed, again.said
    assert_restored(damaged)


def test_a_restore_that_loses_its_lock_in_the_outage_is_ended_by_the_next_run(
    damaged: Restorable, tmp_path: Path
) -> None:
    running = damaged.runner.start(
        "instance-restore",
        cluster=damaged.name,
        backup=damaged.backup,
        at=Point("5", signal=signal.SIGSTOP),
    )
    running.halted()
    cut_and_visited(damaged.node.host, damaged.name, tmp_path)
    running.send(signal.SIGCONT)
    failed = running.outcome()
    assert failed.ended == "LockLost", failed.said
    assert not [line for line in failed.commands if line.startswith("mv ")]
    assert damaged.aside() == []
    again = damaged.restore()
    assert again.completed, again.said
    assert_restored(damaged)


@pytest.fixture(scope="module")
def recoverable(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Recoverable:
    """Build a pair with a logical backup."""
    base = tmp_path_factory.mktemp("lostl")
    return logical_recovery_scene.build(loopback_lab, "lostl", "lostm", base=base)


def test_a_logical_recovery_that_has_lost_its_lock_opens_the_port_again(
    recoverable: Recoverable, tmp_path: Path
) -> None:
    recoverable.reset()
    first = recoverable.nodes[0].host
    try:
        failed = recoverable.run_with(
            "logical-recovery",
            Point("8"),
            lambda: cut_and_visited(first, recoverable.name, tmp_path),
            backup=recoverable.id,
        )
        assert failed.ended == "LockLost", failed.said
        assert not blocked(recoverable)
        outcome = recover(recoverable)
        assert outcome.completed, outcome.said
        assert_recovered(recoverable)
    finally:
        recoverable.halt()
        unblock(recoverable)
