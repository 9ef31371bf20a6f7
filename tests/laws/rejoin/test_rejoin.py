"""Laws of rejoin on a repmgr cluster of two: the old primary returns after a promotion."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import processes, split, trouble
from tests.laws.outcome import Point
from tests.laws.rebuild_troubles import own_line
from tests.laws.rejoin.old_primary import (
    ALONE,
    MARK,
    OF_THE_PRIMARY,
    assert_back,
    commits,
    hand_over,
    kept,
    marked,
    rejoin,
)
from tests.laws.replication_scene import Scene

pytestmark = pytest.mark.lab

KILLED = [Point("3"), Point("4"), Point("5", 3), Point("5"), Point("6", 1), Point("6"), Point("7")]


def test_a_primary_that_was_stopped_cleanly_rejoins_and_a_second_run_changes_nothing(
    healthy: Scene,
) -> None:
    old = hand_over(healthy)
    with healthy.unchanged():
        planned = healthy.run("rejoin", dry_run=True)
    assert planned.completed, planned.said
    assert planned.plan is not None
    text = planned.plan.markdown()
    assert "only the node holds:** nothing" in text
    assert "node rejoin" in text
    assert "--force-rewind" not in text
    assert "repmgr_slot_2" in text
    done = healthy.run("rejoin")
    assert done.completed, done.said
    assert_back(healthy)
    assert kept(old) == healthy.aside(old) == []
    with healthy.unchanged():
        again = healthy.run("rejoin")
    assert (again.ended, again.changed) == ("completed", 0), again.said


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
def test_one_that_went_on_alone_is_rewound_and_what_it_held_is_kept(
    healthy: Scene, crash: bool
) -> None:
    own = own_line(healthy.node("ja")).read_text()
    old = hand_over(healthy, alone=ALONE, crash=crash)
    marked(healthy.node("jb"))
    with healthy.unchanged():
        planned = rejoin(healthy, dry_run=True)
    assert planned.plan is not None, planned.said
    held = next(f.value for f in planned.plan.facts if f.name == "only the node holds")
    assert held.startswith("2 commits, the first at"), held
    done = rejoin(healthy)
    assert done.completed, done.said
    assert_back(healthy)
    assert (old.data_directory / "postgresql.conf").read_text() == own
    (there,) = kept(old)
    assert commits(old, there) == 2
    for name in (MARK, *OF_THE_PRIMARY):
        assert not (old.data_directory / name).exists(), "it tells of the primary alone"
    assert rejoin(healthy).changed == 0
    discarded = healthy.run("discard-aside", node="ja", stamp=there.name.split("diverged-")[1])
    assert discarded.completed, discarded.said
    assert kept(old) == []


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
def test_one_that_has_recycled_the_wal_since_the_fork_never_counts_as_holding_nothing(
    healthy: Scene, crash: bool
) -> None:
    recycled = ("SELECT pg_switch_wal()", "UPDATE customers SET name = 'more'", "CHECKPOINT")
    old = healthy.node("ja")
    with split.cut_off(healthy.node("jb")):
        in_use = "SELECT bool_or(active) FROM pg_replication_slots"
        processes.until(lambda: old.psql(in_use) == "f", "the slot is not in use")
        old.psql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        for statement in (*ALONE, *recycled, *recycled, *recycled):
            old.psql(statement, database="shop")
        trouble.kill(old) if crash else old.stop()
        healthy.cluster.repmgr(healthy.node("jb"), "standby", "promote")
    planned = rejoin(healthy, dry_run=True)
    assert planned.plan is not None, planned.said
    held = next(f.value for f in planned.plan.facts if f.name == "only the node holds")
    assert held.startswith("COMMITS THAT NOBODY CAN COUNT"), held
    done = rejoin(healthy)
    assert done.completed, done.said
    assert_back(healthy)
    (aside,) = healthy.aside(old)
    assert (aside / "global/pg_control").exists()


def test_a_timeline_of_its_own_with_the_number_of_the_primarys_is_never_called_nothing(
    healthy: Scene,
) -> None:
    """So it is where two nodes were restored from one backup, or promoted at one position."""
    old, new = hand_over(healthy), healthy.node("jb")
    (old.data_directory / "standby.signal").touch()
    old.start()
    old.psql("SELECT pg_promote()")
    old.psql(ALONE[0], database="shop")
    old.stop()
    history = Path("pg_wal/00000002.history")
    ends = [(node.data_directory / history).read_text().split("\t")[:2] for node in (old, new)]
    assert ends[0] == ends[1]
    with healthy.unchanged():
        planned = rejoin(healthy, dry_run=True)
    assert planned.plan is not None, planned.said
    held = next(f.value for f in planned.plan.facts if f.name == "only the node holds")
    assert held.startswith("COMMITS THAT NOBODY CAN COUNT"), held
    done = rejoin(healthy)
    assert done.completed, done.said
    assert_back(healthy)
    assert len(healthy.aside(old)) == 1


def test_a_history_that_is_missing_is_never_called_nothing(healthy: Scene) -> None:
    lost = healthy.node("jb")
    split.promoted_by_hand(lost)
    lost.psql(ALONE[0], database="shop")
    lost.stop()
    (lost.data_directory / "pg_wal" / "00000002.history").unlink()
    planned = healthy.run("standby-rebuild", standby="jb", dry_run=True)
    assert planned.plan is not None, planned.said
    held = next(f.value for f in planned.plan.facts if f.name == "only the old data hold")
    assert held.startswith("COMMITS THAT NOBODY CAN COUNT"), held


def test_a_split_brain_is_refused_until_stopping_it_is_approved(healthy: Scene) -> None:
    old, new = healthy.node("ja"), healthy.node("jb")
    with split.cut_off(new):
        old.psql(ALONE[0], database="shop")
        split.promoted_by_hand(new)
    with healthy.unchanged():
        refused = rejoin(healthy)
    assert refused.ended == "Refused"
    assert "a split brain" in refused.said
    assert "only ja holds: 1 commit" in refused.said
    with healthy.unchanged():
        assert rejoin(healthy, stop_writer=True, answer="refuse").ended == "RefusedByPerson"
    done = rejoin(healthy, stop_writer=True)
    assert done.completed, done.said
    assert_back(healthy)
    assert len(kept(old)) == 1


def test_killed_again_and_again_it_finishes(healthy: Scene) -> None:
    old = hand_over(healthy, alone=ALONE)
    for point in KILLED:
        killed = rejoin(healthy, at=point)
        assert killed.ended == "killed", f"{point}: {killed.said}"
    done = rejoin(healthy)
    assert done.completed, done.said
    assert_back(healthy)
    assert len(kept(old)) == 1
    assert healthy.aside(old) == []
    assert rejoin(healthy).changed == 0


def test_what_was_written_after_a_killed_rejoin_is_kept_as_well(healthy: Scene) -> None:
    old = hand_over(healthy, alone=ALONE)
    assert rejoin(healthy, at=Point("4")).ended == "killed"
    assert [commits(old, there) for there in kept(old)] == [2]
    old.start()
    old.psql("CREATE TABLE later AS SELECT 1 AS x", database="shop")
    done = rejoin(healthy, stop_writer=True)
    assert done.completed, done.said
    assert_back(healthy)
    there, before = kept(old)
    assert commits(old, there) == 3
    assert before.name.startswith(f"{there.name}-before-")
    stamp = before.name.split("diverged-")[1]
    assert healthy.run("discard-aside", node="ja", stamp=stamp).completed
    assert kept(old) == [there]


@pytest.mark.parametrize("left", ["rejoining", "rejoined"])
def test_what_an_old_rejoin_has_left_decides_nothing(healthy: Scene, left: str) -> None:
    old, new = healthy.node("ja"), healthy.node("jb")
    (old.directory / f"main.{left}").write_text("0123\n")
    with split.cut_off(new):
        old.psql(ALONE[0], database="shop")
        split.promoted_by_hand(new)
    with healthy.unchanged():
        refused = rejoin(healthy)
    assert refused.ended == "Refused", refused.said
    assert "only ja holds: 1 commit" in refused.said


def test_it_comes_up_only_as_a_standby(healthy: Scene) -> None:
    old = hand_over(healthy)

    def take_away() -> None:
        (old.data_directory / "standby.signal").unlink()

    ended = healthy.run_with("rejoin", Point("5"), take_away, node="ja")
    assert ended.ended == "CheckFailed", ended.said
    assert "standby.signal" in ended.said
    assert healthy.writable() == ("jb",)
    assert healthy.servers()["ja"] == []


def test_what_cannot_return_is_refused_before_the_first_change(healthy: Scene) -> None:
    with healthy.unchanged():
        assert rejoin(healthy, node="jx").ended == "CheckFailed"
        nobody = rejoin(healthy)
    assert nobody.ended == "Unreachable"
    assert "no node accepts writes" in nobody.said
    old = hand_over(healthy)
    split.forgotten(healthy.node("jb"), old)
    with healthy.unchanged():
        unknown = rejoin(healthy)
    assert unknown.ended == "CheckFailed"
    assert "repmgr on jb knows ja" in unknown.said
    done = rejoin(healthy, method="clone")
    assert done.completed, done.said
    assert_back(healthy)
