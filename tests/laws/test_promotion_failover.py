"""The laws of DESIGN section 4 for a failover: promotion, mode failover."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.lab import half_record, judge, processes, split, trouble
from tests.lab.loopback import LoopbackLab
from tests.laws import promotion_scene
from tests.laws.outcome import Outcome, Point
from tests.laws.promotion_scene import assert_in_service, assert_promoted, caught_up
from tests.laws.replication_scene import Scene

pytestmark = pytest.mark.lab

HALF = [half_record.killed_within, half_record.killed_within_many_segments]
STATEMENT = "alice saw at 03:10 that its power is off"

# Each run dies at the next point of its row, and the one after it goes on; the last one finishes.
KILLED = [
    [Point("4"), Point("6"), Point("8"), Point("10")],
    [Point("5"), Point("7", 1), Point("7"), Point("9"), Point("11")],
]


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    base = tmp_path_factory.mktemp("failover")
    return promotion_scene.build(loopback_lab, "fa", "fb", "fc", base=base)


@pytest.fixture
def healthy(scene: Scene) -> Iterator[Scene]:
    scene.reset()
    scene.node_settings, scene.cluster_settings = {}, {}
    yield scene
    scene.node_settings, scene.cluster_settings = {}, {}
    scene.halt()


def fail_over(scene: Scene, **arguments: object) -> Outcome:
    return scene.run("promotion", **{"mode": "failover", "to": "fb", **arguments})


def test_a_dead_primary_is_fenced_and_replaced(healthy: Scene) -> None:
    _, new, other = healthy.nodes
    promotion_scene.kill(healthy)
    with healthy.unchanged():
        planned = fail_over(healthy, dry_run=True)
    assert planned.completed, planned.said
    assert planned.plan is not None
    assert "MAY BE LOST:** nothing" in planned.plan.markdown()
    outcome = fail_over(healthy)
    assert outcome.completed, outcome.said
    assert_promoted(healthy, new, other)
    assert_in_service(healthy, new)
    assert healthy.apps[0].history.lost(new) == set()
    assert "left out by this run: fa" in outcome.told
    assert re.fullmatch(r"\d+ OK", str(outcome.memory["health"])), outcome.told
    with healthy.unchanged():
        second = fail_over(healthy)
    assert (second.ended, second.changed, second.said) == ("completed", 0, "")
    assert fail_over(healthy, to="").changed == 0
    assert judge.writable(healthy.nodes) == (new.name,)
    a_sick_server_in_service_fails_the_last_step(healthy)


def a_sick_server_in_service_fails_the_last_step(healthy: Scene) -> None:
    healthy.cluster_settings["health_limits"] = {"frozen_age": {"warning": 0, "critical": 1}}
    sick = fail_over(healthy)
    assert (sick.ended, sick.changed) == ("CheckFailed", 0)
    assert "promotion step 13: cluster" in sick.said
    assert "CRITICAL: fb: wraparound" in sick.said
    assert "CRITICAL: fa" not in sick.said


@pytest.mark.parametrize("points", KILLED, ids=lambda points: points[0].step)
def test_killed_again_and_again_it_finishes(healthy: Scene, points: list[Point]) -> None:
    _, new, other = healthy.nodes
    promotion_scene.kill(healthy)
    for point in points:
        killed = fail_over(healthy, at=point)
        assert killed.ended == "killed", f"{point}: {killed.said}"
    outcome = fail_over(healthy)
    assert outcome.completed, outcome.said
    assert_promoted(healthy, new, other)
    assert_in_service(healthy, new)
    assert fail_over(healthy).changed == 0


def test_a_primary_that_hangs_is_ended_for_good(healthy: Scene) -> None:
    old, new, other = healthy.nodes
    with ExitStack() as hung:
        with caught_up(healthy):
            hung.enter_context(trouble.frozen(old))
        killed = fail_over(healthy, at=Point("5"))
        assert killed.ended == "killed", killed.said
        assert not old.is_running()
        outcome = fail_over(healthy)
    assert outcome.completed, outcome.said
    assert_promoted(healthy, new, other)


def test_what_the_dead_primary_holds_alone_is_counted_before_anyone_approves(
    healthy: Scene,
) -> None:
    old, new, other = healthy.nodes
    (app,) = healthy.apps
    app.stop()
    with split.cut_off(new, other):
        for number in range(7):
            old.psql(f"INSERT INTO counted_rows VALUES ('alone', {number})", database="shop")
        trouble.kill(old)
    outcome = fail_over(healthy, answer="refuse")
    assert outcome.ended == "RefusedByPerson"
    assert outcome.plan is not None
    assert "MAY BE LOST:** 7 commits" in outcome.plan.markdown()
    assert judge.writable(healthy.nodes) == ()


@pytest.mark.parametrize("killed", HALF, ids=["in a segment", "over segments"])
def test_a_record_that_was_sent_by_half_holds_up_nobody(
    healthy: Scene, killed: Callable[..., None]
) -> None:
    old, new, other = healthy.nodes
    healthy.apps[0].stop()
    committed = promotion_scene.rows(old)
    killed(old, new, other)
    assert judge.received(new) > judge.position(new)
    whole = new.psql("SELECT pg_last_wal_replay_lsn()")
    outcome = fail_over(healthy)
    assert outcome.completed, outcome.told
    assert outcome.plan is not None
    assert f"nothing: {old.name} holds no commit after {whole}," in outcome.plan.markdown()
    assert_promoted(healthy, new, other)
    assert_in_service(healthy, new)
    assert promotion_scene.rows(new) >= committed
    if killed is half_record.killed_within_many_segments:
        wal = other.data_directory / "pg_wal"
        first = min(path.name for path in wal.glob("00000002????????????????"))
        status = {path.name for path in (wal / "archive_status").glob(f"{first}.*")}
        assert status == {f"{first}.done"}  # else it is archived once more when it is promoted
    assert fail_over(healthy).changed == 0


def test_a_primary_that_answers_is_no_failover(healthy: Scene) -> None:
    with healthy.unchanged():
        outcome = fail_over(healthy)
    assert outcome.ended == "Refused"
    assert "this is no failover" in outcome.said
    assert "mode=planned" in outcome.said


def test_a_planned_handover_of_a_dead_primary_is_refused(healthy: Scene) -> None:
    trouble.kill(healthy.nodes[0])
    with healthy.unchanged():
        outcome = healthy.run("promotion", to="fb")
    assert outcome.ended == "CheckFailed"
    assert "mode=failover" in outcome.said


def test_without_login_it_needs_a_fence_or_a_statement(healthy: Scene) -> None:
    old, new, other = healthy.nodes
    promotion_scene.kill(healthy)
    with trouble.unreachable(old.host):
        refused = fail_over(healthy)
        assert refused.ended == "CheckFailed"
        assert "cannot be fenced" in refused.said
        assert judge.writable(healthy.nodes) == ()
        outcome = fail_over(healthy, old_primary_is_off=STATEMENT)
        assert outcome.completed, outcome.said
        stated = [entry for entry in outcome.record if entry["event"] == "statement"]
        assert [entry["text"] for entry in stated][-1:] == [STATEMENT]
        assert outcome.plan is not None
        assert f"MAY BE LOST:** unknown: {old.name} cannot be asked" in outcome.plan.markdown()
        assert_promoted(healthy, new, other)
        assert_in_service(healthy, new)
        assert fail_over(healthy, old_primary_is_off=STATEMENT).changed == 0


def test_a_statement_that_is_not_true_promotes_nobody(healthy: Scene) -> None:
    old = healthy.nodes[0]
    with trouble.unreachable(old.host):
        outcome = fail_over(healthy, old_primary_is_off=STATEMENT)
    assert outcome.ended == "CheckFailed"
    assert "nobody answers at" in outcome.said
    assert judge.writable(healthy.nodes) == (old.name,)


def test_a_fencing_command_takes_a_living_primary_out_of_service(healthy: Scene) -> None:
    old, new, other = healthy.nodes
    proof = ["sh", "-c", '! test -e "$1/postmaster.pid"', "proof", str(old.data_directory)]
    fencing = {"command": list(split.fence_command(old)), "proof": proof}
    healthy.node_settings = {"fencing": fencing}
    with trouble.unreachable(old.host):
        outcome = fail_over(healthy)
        assert outcome.completed, outcome.said
        assert not old.is_running()
        assert_promoted(healthy, new, other)
        assert fail_over(healthy).changed == 0


def test_a_fence_that_cannot_be_proven_promotes_nobody(healthy: Scene) -> None:
    old = healthy.nodes[0]
    healthy.node_settings = {"fencing": {"command": ["true"], "proof": ["true"]}}
    with trouble.unreachable(old.host):
        outcome = fail_over(healthy)
    assert outcome.ended == "CheckFailed"
    assert "Do not promote" in outcome.said
    assert judge.writable(healthy.nodes) == (old.name,)


def test_a_candidate_behind_another_is_refused_unless_that_is_accepted(healthy: Scene) -> None:
    old, new, other = healthy.nodes
    with split.cut_off(new):
        old.psql("INSERT INTO counted_rows VALUES ('ahead', 1)", database="shop")
        healthy.apps[0].stop()
        trouble.kill(old)
    refused = fail_over(healthy)
    assert refused.ended == "CheckFailed"
    assert f"no standby has come further than {new.name}" in refused.said
    best = fail_over(healthy, to="", dry_run=True)
    assert best.plan is not None
    assert f"hands over to {other.name}" in best.plan.markdown()
    outcome = fail_over(healthy, accept_behind=True)
    assert outcome.completed, outcome.said
    assert_promoted(healthy, new)
    assert fail_over(healthy, accept_behind=True).changed == 0
    insisted = fail_over(healthy)
    assert insisted.ended == "CheckFailed"
    assert "standby-rebuild" in insisted.said


def test_commits_never_wait_for_a_standby_that_cannot_follow(healthy: Scene) -> None:
    old, new, other = healthy.nodes
    new.psql(f"ALTER SYSTEM SET synchronous_standby_names = '{other.name}'")
    new.reload()
    with split.cut_off(new):
        old.psql("INSERT INTO counted_rows VALUES ('ahead', 1)", database="shop")
        healthy.apps[0].stop()
        trouble.kill(old)
    refused = fail_over(healthy, accept_behind=True)
    assert refused.ended == "CheckFailed", refused.said
    assert "would wait for nobody" in refused.said
    assert "only nobody would follow" in refused.said
    new.psql("ALTER SYSTEM SET synchronous_standby_names = ''")
    new.reload()
    outcome = fail_over(healthy, accept_behind=True)
    assert outcome.completed, outcome.said
    assert_in_service(healthy, new)


def test_a_role_that_only_reads_holds_up_no_failover_for_a_standby_cannot_reset_it(
    healthy: Scene,
) -> None:
    old, new, other = healthy.nodes
    name = "default_transaction_read_only"
    old.psql(f"ALTER ROLE postgres SET {name} = on")
    promotion_scene.kill(healthy)
    for node in (new, other):
        processes.until(lambda node=node: node.psql(f"SHOW {name}") == "on", "it is replayed")
    outcome = fail_over(healthy)
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    reset = f"SET {name} = off; ALTER ROLE (or DATABASE) NAME RESET {name}"
    told = f"READS ONLY:** {name} is on, by: user. On fb, once it is promoted: {reset}"
    assert told in outcome.plan.markdown()
    refused = healthy.run("promotion", to="fc")
    assert refused.ended == "CheckFailed", refused.said
    assert f"{name} is on there, set by: user" in refused.said
    assert "On fb: ALTER SYSTEM RESET" in refused.said
    new.psql(f"SET {name} = off; ALTER ROLE postgres RESET {name}")
    assert_promoted(healthy, new, other)
    assert_in_service(healthy, new)


def test_an_old_primary_that_comes_back_before_the_promotion_ends_the_run(healthy: Scene) -> None:
    old = healthy.nodes[0]
    promotion_scene.kill(healthy)
    outcome = healthy.run_with("promotion", Point("6"), old.start, mode="failover", to="fb")
    assert outcome.ended == "CheckFailed"
    assert "Nothing was promoted" in outcome.said
    assert judge.writable(healthy.nodes) == (old.name,)


def test_an_old_primary_that_comes_back_later_gets_no_application(healthy: Scene) -> None:
    old, new, other = healthy.nodes
    promotion_scene.kill(healthy)
    outcome = healthy.run_with("promotion", Point("8"), old.start, mode="failover", to="fb")
    assert outcome.ended == "CheckFailed"
    assert "split brain" in outcome.said
    assert set(judge.writable(healthy.nodes)) == {old.name, new.name}
    assert judge.upstream(other) == new.host.address
    assert healthy.apps[0].pid == 0
    told = fail_over(healthy)
    assert told.ended == "CheckFailed"
    assert "split brain" in told.said
    old.stop()
    finished = fail_over(healthy)
    assert finished.completed, finished.said
    assert_promoted(healthy, new, other)
    assert_in_service(healthy, new)


def test_a_standby_that_was_down_all_along_is_left_out_and_told(healthy: Scene) -> None:
    old, new, other = healthy.nodes
    other.stop()
    trouble.kill(old)
    outcome = fail_over(healthy)
    assert outcome.completed, outcome.said
    assert f"{other.name} did not answer" in outcome.told
    assert_promoted(healthy, new)
    assert_in_service(healthy, new)
    assert fail_over(healthy).changed == 0


def test_a_standby_that_was_left_out_is_no_way_to_older_data(healthy: Scene) -> None:
    _, lost, left_out = healthy.nodes
    left_out.stop()
    assert healthy.run("promotion", to="fb").completed
    lost.psql("INSERT INTO counted_rows VALUES ('later', 1)", database="shop")
    left_out.start()
    older = healthy.run("promotion", to="fc")
    assert older.ended == "CheckFailed", older.said
    assert "stop those that follow it, then accept_behind=true" in older.said
    trouble.kill(lost)
    for arguments in ({"to": "fc"}, {"to": ""}, {"to": "fc", "mode": "planned"}):
        with healthy.unchanged():
            refused = fail_over(healthy, **arguments)
        assert refused.ended == "CheckFailed", refused.said
        assert "fb: timeline 2" in refused.said
        assert "accept_behind=true" in refused.said
        assert "pg_ctl start" not in refused.said
    knowingly = fail_over(healthy, to="fc", accept_behind=True, answer="refuse")
    assert knowingly.ended == "RefusedByPerson"
    assert knowingly.plan is not None
    assert "OLDER DATA:** fb: timeline 2" in knowingly.plan.markdown()
    with trouble.unreachable(lost.host):
        unknown = fail_over(healthy, to="fc", dry_run=True)
    assert unknown.plan is not None, unknown.said
    assert "NOT KNOWN:** whether these were the primary since: fb" in unknown.plan.markdown()
    (why,) = (fact for fact in unknown.plan.facts if fact.name == "why not known")
    assert "does not answer" in why.value
    assert not why.bound


def test_a_primary_of_before_that_comes_back_is_no_promotion_to_finish(healthy: Scene) -> None:
    _, back, last = healthy.nodes
    assert healthy.run("promotion", to="fb").completed
    trouble.kill(back)
    assert fail_over(healthy, to="fc").completed
    trouble.kill(last)
    back.start()
    for name in ("fb", ""):
        refused = fail_over(healthy, to=name)
        assert refused.ended == "CheckFailed", refused.said
        assert "fc: timeline 3" in refused.said
        assert "stop fb first, then start it" in refused.said
    assert fail_over(healthy, accept_behind=True).completed
    assert_in_service(healthy, back)
