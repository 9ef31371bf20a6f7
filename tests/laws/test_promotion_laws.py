"""The laws of DESIGN section 4 for a planned switchover: promotion, mode planned."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.lab import judge, processes, split, trouble
from tests.lab.loopback import LoopbackLab
from tests.laws import promotion_scene
from tests.laws.at_terminal import at_terminal
from tests.laws.outcome import Point
from tests.laws.promotion_scene import assert_in_service, assert_promoted
from tests.laws.replication_scene import Scene

pytestmark = pytest.mark.lab

STEPS = [str(number) for number in range(1, 14)]

# Each run dies at the next point of its row, and the one after it goes on; the last one finishes.
KILLED = [
    [Point("3"), Point("5", 1), Point("5"), Point("7"), Point("9"), Point("11")],
    [Point("4", 1), Point("4"), Point("6"), Point("8", 1), Point("10", 2), Point("12")],
    [Point("7", 1), Point("8"), Point("10"), Point("11", 1)],
]
GIVEN_UP = [
    Point("4", signal=signal.SIGTERM),
    Point("5", 1, signal=signal.SIGTERM),
    Point("5", signal=signal.SIGINT),
]
CANCELLED = Point("7", 1, signal=signal.SIGINT)


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    base = tmp_path_factory.mktemp("planned")
    return promotion_scene.build(loopback_lab, "pa", "pb", "pc", base=base)


@pytest.fixture
def healthy(scene: Scene) -> Iterator[Scene]:
    scene.reset()
    yield scene
    scene.halt()


def test_a_dry_run_changes_nothing_and_prints_every_step(healthy: Scene) -> None:
    with healthy.unchanged():
        outcome = healthy.run("promotion", to="pb", dry_run=True)
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    assert [number for number, _ in outcome.plan.headings] == STEPS
    shown = outcome.plan.markdown()
    for line in ("standby promote`", "--dry-run", "--upstream-node-id=2", "pg_ctl stop"):
        assert line in shown
    assert f"+DATABASE_HOST={healthy.nodes[1].host.address}" in shown


def test_a_switchover_loses_nothing_and_a_second_run_changes_nothing(healthy: Scene) -> None:
    old, new, other = healthy.nodes
    for node in (new, other):  # left over from a time when another one was the primary
        split.orphan_slot(node, "repmgr_slot_1")
    with healthy.writer() as writer:
        outcome = healthy.run("promotion", to="pb")
        assert outcome.completed, outcome.said
        writer.wait_for_rows(5)
        history = writer.stop()
    assert history.lost(new) == set()
    assert healthy.apps[0].history.lost(new) == set()
    assert_promoted(healthy, new, other)
    assert_in_service(healthy, new)
    assert not old.is_running()
    with healthy.unchanged():
        second = healthy.run("promotion", to="pb")
    assert (second.ended, second.changed, second.said) == ("completed", 0, "")
    back = healthy.run("promotion", to="pc")
    assert back.completed, back.said
    assert_promoted(healthy, other)
    assert healthy.run("promotion", to="pc").changed == 0


def test_without_a_name_it_promotes_one_and_never_a_second(healthy: Scene) -> None:
    killed = healthy.run("promotion", at=Point("7"))
    assert killed.ended == "killed", killed.said
    chosen = judge.writable(healthy.nodes)
    outcome = healthy.run("promotion")
    assert outcome.completed, outcome.said
    assert judge.writable(healthy.nodes) == chosen
    again = healthy.run("promotion")
    assert (again.ended, again.changed) == ("completed", 0)
    assert judge.writable(healthy.nodes) == chosen


@pytest.mark.parametrize("points", KILLED, ids=lambda points: points[0].step)
def test_killed_again_and_again_it_finishes(healthy: Scene, points: list[Point]) -> None:
    promotions = 0
    for point in points:
        killed = healthy.run("promotion", to="pb", at=point)
        assert killed.ended == "killed", f"{point}: {killed.said}"
        promotions += sum(line.endswith("standby promote") for line in killed.commands)
    outcome = healthy.run("promotion", to="pb")
    assert outcome.completed, outcome.said
    assert_promoted(healthy, healthy.nodes[1], healthy.nodes[2])
    assert_in_service(healthy, healthy.nodes[1])
    assert judge.timeline(healthy.nodes[1]) == 2
    assert healthy.run("promotion", to="pb").changed == 0
    assert promotions <= 2


def test_once_the_old_primary_is_stopped_every_end_tells_the_way_back(healthy: Scene) -> None:
    old, new, _ = healthy.nodes
    assert healthy.run("promotion", to="pb", at=Point("5")).ended == "killed"
    refused = healthy.run("promotion", to="pb", answer="refuse")
    assert refused.ended == "RefusedByPerson"
    assert "pa IS STOPPED ALREADY" in str(refused.record)
    assert refused.plan is not None
    facts = {fact.name: fact.value for fact in refused.plan.facts}
    assert "pa is stopped already" in facts["NOBODY CAN WRITE"]
    assert facts["way back instead"].startswith(f"on {old.host.name}: ")
    assert "pg_ctl start" in facts["way back instead"]
    trouble.kill(new)
    dead = healthy.run("promotion", to="pb")
    assert dead.ended == "Unreachable"
    assert "NOBODY CAN WRITE NOW: pa was stopped" in dead.said
    assert dead.said.count("pg_ctl start") == 1
    assert "ONLY IF" not in dead.said
    old.start()
    healthy.apps[0].start()
    assert_in_service(healthy, old)


def test_a_primary_that_was_retired_before_is_never_the_way_back(healthy: Scene) -> None:
    retired, lost, _ = healthy.nodes
    assert healthy.run("promotion", to="pb").completed
    assert not retired.is_running()
    trouble.kill(lost)
    refused = healthy.run("promotion", to="pc")
    assert refused.ended == "CheckFailed", refused.said
    assert "mode=failover" in refused.said
    assert "way back" not in refused.said


def test_cancelled_it_leaves_no_process_and_goes_on_later(healthy: Scene) -> None:
    cancelled(healthy, CANCELLED)
    assert healthy.run("promotion", to="pb").completed
    assert_promoted(healthy, healthy.nodes[1], healthy.nodes[2])


def test_cancelled_before_the_promotion_it_gives_the_old_primary_back(healthy: Scene) -> None:
    old = healthy.nodes[0]
    for point in GIVEN_UP:
        cancelled(healthy, point)
        assert judge.writable(healthy.nodes) == (old.name,)
        assert_in_service(healthy, old)
    assert healthy.apps[0].history.lost(old) == set()


def cancelled(scene: Scene, at: Point) -> None:
    outcome = scene.run("promotion", to="pb", at=at)
    assert outcome.ended in ("KeyboardInterrupt", "_Terminated"), outcome.said
    running = [node for node in scene.nodes if node.is_running()]
    assert [judge.strays(node) for node in running] == [[] for _ in running]


def test_a_refusal_leaves_everything_as_it_was(healthy: Scene) -> None:
    with healthy.unchanged():
        outcome = healthy.run("promotion", to="pb", answer="refuse")
    assert outcome.ended == "RefusedByPerson"


def test_of_two_promotions_one_is_refused(healthy: Scene) -> None:
    def second() -> None:
        outcome = healthy.run("promotion", to="pc")
        assert outcome.ended == "Held"
        assert "another run holds" in outcome.said

    first = healthy.run_with("promotion", Point("5"), second, to="pb")
    assert first.completed, first.said
    assert_promoted(healthy, healthy.nodes[1], healthy.nodes[2])


def test_a_promotion_elsewhere_after_the_connections_broke_leaves_one_primary(
    healthy: Scene,
) -> None:
    """Neither the other standby is promoted, nor the old primary started on the way back."""
    elsewhere = replace(healthy.runner, state=healthy.base / "elsewhere")

    def second() -> None:
        for node in healthy.nodes:
            node.host.cut_sessions()
        outcome = elsewhere.run("promotion", cluster=healthy.name, to="pc", mode="failover")
        assert outcome.completed, outcome.said

    first = healthy.run_with("promotion", Point("5"), second, to="pb")
    assert not first.completed
    assert "and the way back failed: cluster" in first.said
    assert "is no longer this run's alone" in first.said
    assert judge.writable(healthy.nodes) == ("pc",)
    assert not healthy.nodes[0].is_running()


def test_a_candidate_that_dies_gives_the_old_primary_back(healthy: Scene) -> None:
    old, new, _ = healthy.nodes
    outcome = healthy.run_with("promotion", Point("5"), lambda: trouble.kill(new), to="pb")
    assert outcome.ended == "Unreachable", outcome.said
    assert "in service again" in outcome.said
    assert judge.writable(healthy.nodes) == (old.name,)
    assert_in_service(healthy, old)
    assert healthy.apps[0].history.lost(old) == set()


def test_a_candidate_that_stops_replaying_gives_the_old_primary_back(healthy: Scene) -> None:
    old, new, _ = healthy.nodes
    paused = split.replay_paused(new)
    outcome = healthy.run_with("promotion", Point("5", 1), paused.__enter__, to="pb")
    assert outcome.ended == "GoalNotReached", outcome.said
    assert "in service again" in outcome.said
    assert judge.writable(healthy.nodes) == (old.name,)
    assert_in_service(healthy, old)
    assert healthy.apps[0].history.lost(old) == set()
    paused.__exit__(None, None, None)
    assert healthy.run("promotion", to="pb").completed
    assert_promoted(healthy, new, healthy.nodes[2])


def test_a_terminal_that_is_lost_gives_the_old_primary_back(healthy: Scene) -> None:
    """The kernel tells the run so, and the shell once more while the run goes the way back."""
    old = healthy.nodes[0]
    with at_terminal(healthy.runner) as terminal:
        terminal.run("promotion", "--cluster", healthy.name, "--to", "pb")
        terminal.wait_until(lambda: not old.is_running())
        terminal.send(signal.SIGSTOP)
        terminal.hang_up()
        terminal.send(signal.SIGCONT)
        terminal.wait_until(old.is_running)
        terminal.send(signal.SIGHUP)
        terminal.wait()
    assert judge.writable(healthy.nodes) == (old.name,)
    assert_in_service(healthy, old)
    assert healthy.apps[0].history.lost(old) == set()


def test_a_supervisor_that_starts_the_old_primary_again_ends_the_run(healthy: Scene) -> None:
    old, _, other = healthy.nodes
    with split.supervised(old):
        outcome = healthy.run("promotion", to="pb")
        assert outcome.ended == "CheckFailed", outcome.said
        assert "start" in outcome.said
        assert "in service again" in outcome.said
        processes.until(lambda: judge.writable(healthy.nodes) == (old.name,), "it is back")
    assert_in_service(healthy, old)
    assert judge.timeline(old) == 1
    assert other.is_running()


def test_a_promotion_that_repmgr_did_not_write_down_is_finished(healthy: Scene) -> None:
    killed = healthy.run("promotion", to="pb", at=Point("6"))
    assert killed.ended == "killed"
    split.promoted_by_hand(healthy.nodes[1])
    outcome = healthy.run("promotion", to="pb")
    assert outcome.completed, outcome.said
    assert_promoted(healthy, healthy.nodes[1], healthy.nodes[2])
    assert_in_service(healthy, healthy.nodes[1])
    assert healthy.run("promotion", to="pb").changed == 0


def test_an_application_host_lost_on_the_way_is_repointed_later(healthy: Scene) -> None:
    (app,) = healthy.apps
    outcome = healthy.run_with("promotion", Point("9"), app.host.stop_ssh, to="pb")
    assert outcome.cut_off, outcome.said
    assert judge.writable(healthy.nodes) == ("pb",)
    assert app.database == healthy.nodes[0].host.address
    app.host.start_ssh()
    outcome = healthy.run("promotion", to="pb")
    assert outcome.completed, outcome.said
    assert_promoted(healthy, healthy.nodes[1], healthy.nodes[2])
    assert_in_service(healthy, healthy.nodes[1])


def test_repmgrd_is_paused_meanwhile_and_works_again_afterwards(healthy: Scene) -> None:
    daemons = healthy.daemons(automatic=True)
    daemons.start()
    old, new, other = healthy.nodes

    def all_are_paused() -> None:
        assert daemons.paused(new)
        assert daemons.paused(other)

    outcome = healthy.run_with("promotion", Point("5"), all_are_paused, to="pb")
    assert outcome.completed, outcome.said
    assert_promoted(healthy, new, other)
    for node in (new, other):
        assert daemons.running(node)
        assert not daemons.paused(node)
    assert not old.is_running()
    assert healthy.run("promotion", to="pb").changed == 0
