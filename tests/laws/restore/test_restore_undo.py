"""The laws of DESIGN section 4 for the undo of a restore and for discard-aside."""

from __future__ import annotations

import pytest

from tests.lab import shop
from tests.laws.outcome import Point
from tests.laws.restore_scene import Scene, assert_restored, servers_on

pytestmark = pytest.mark.lab


def test_after_an_undo_no_timeline_is_taken_twice(damaged: Scene) -> None:
    """What was restored may have archived its WAL; only what is kept of it has the number."""
    assert damaged.restore().completed
    assert damaged.run("instance-restore-undo").completed
    outcome = damaged.restore()
    assert outcome.completed, outcome.said
    assert_restored(damaged)
    assert damaged.node.psql("CHECKPOINT; SELECT timeline_id FROM pg_control_checkpoint()") == "3"


def test_undo_puts_the_old_data_back_and_discard_removes_the_rest(damaged: Scene) -> None:
    before = shop.fingerprint(damaged.node)
    assert damaged.restore().completed
    stamp = damaged.aside()[0].name.rpartition("-")[2]
    with damaged.unchanged():
        assert damaged.run("instance-restore-undo", dry_run=True).completed
    undone = damaged.run("instance-restore-undo")
    assert undone.completed, undone.said
    assert shop.fingerprint(damaged.node) == before
    assert len(servers_on(damaged.live)) == 1
    with damaged.unchanged():
        assert damaged.run("instance-restore-undo").changed == 0
        refused = damaged.run("discard-aside", stamp=stamp, answer="refuse")
        assert refused.ended == "RefusedByPerson"
        slip = damaged.run("discard-aside", stamp="20010101000000")
        assert (slip.ended, slip.changed) == ("completed", 0), slip.said
        assert slip.plan is not None
        told = "NOTHING IS REMOVED: nothing set aside at 20010101000000 is kept on "
        assert slip.plan.headline.startswith(told)
        assert f"kept: {stamp} (undone, " in slip.plan.headline
        assert "not 'latest'" in damaged.run("discard-aside", stamp="latest").said
    killed = damaged.run("discard-aside", stamp=stamp, at=Point("3", 2))
    assert killed.ended == "killed"
    discarded = damaged.run("discard-aside", stamp=stamp)
    assert discarded.completed, discarded.said
    assert not list(damaged.node.directory.rglob("*undone-*"))
    assert shop.fingerprint(damaged.node) == before
    assert damaged.run("discard-aside", stamp=stamp).changed == 0
    restored = damaged.restore()
    assert restored.completed, restored.said
    assert_restored(damaged)


@pytest.mark.parametrize(
    "point", [Point("4"), Point("5", 1), Point("5", 2), Point("5"), Point("6", 1)], ids=str
)
def test_a_killed_undo_finishes(damaged: Scene, point: Point) -> None:
    before = shop.fingerprint(damaged.node)
    assert damaged.restore().completed
    killed = damaged.run("instance-restore-undo", at=point)
    assert killed.ended == "killed"
    undone = damaged.run("instance-restore-undo")
    assert undone.completed, undone.said
    assert shop.fingerprint(damaged.node) == before
    assert damaged.run("instance-restore-undo").changed == 0


def test_an_undo_ends_the_outage_that_a_restore_has_begun(damaged: Scene) -> None:
    before = shop.fingerprint(damaged.node)
    assert damaged.restore(at=Point("7")).ended == "killed"
    assert (damaged.live.parent / "main.stopped").exists()
    undone = damaged.run("instance-restore-undo")
    assert undone.completed, undone.said
    assert shop.fingerprint(damaged.node) == before
    assert not (damaged.live.parent / "main.stopped").exists()
    assert damaged.run("instance-restore-undo").changed == 0


def test_what_a_later_run_unpacked_beside_it_does_not_hold_up_an_undo(damaged: Scene) -> None:
    before, first = shop.fingerprint(damaged.node), damaged.backup
    second = damaged.back_up()
    assert damaged.restore(backup=first, at=Point("7")).ended == "killed"
    assert damaged.restore(backup=second, at=Point("2", transfer=True)).ended == "killed"
    undone = damaged.run("instance-restore-undo")
    assert undone.completed, undone.said
    assert shop.fingerprint(damaged.node) == before


@pytest.mark.parametrize("point", [Point("5"), Point("6")], ids=str)
def test_a_killed_undo_that_such_a_run_holds_up_is_named_first(
    damaged: Scene, point: Point
) -> None:
    """What stands there now is the data put back: no backup is to take its place."""
    before, first = shop.fingerprint(damaged.node), damaged.backup
    second = damaged.back_up()
    assert damaged.restore(backup=first, at=Point("7")).ended == "killed"
    assert damaged.restore(backup=second, at=Point("2", transfer=True)).ended == "killed"
    assert damaged.run("instance-restore-undo", at=point).ended == "killed"
    (stamp,) = (path.name.rpartition("-")[2] for path in damaged.live.parent.glob("*.undone-*"))
    refused = damaged.run("instance-restore-undo")
    assert refused.ended == "CheckFailed", refused.said
    ways = refused.said.partition("HINT")[2]
    assert 0 < ways.index(f"stamp={stamp}") < ways.index(f"backup={second}"), refused.said
    undone = damaged.run("instance-restore-undo", stamp=stamp)
    assert undone.completed, undone.said
    assert shop.fingerprint(damaged.node) == before
    assert damaged.run("instance-restore-undo").changed == 0


def test_an_undo_killed_between_two_renames_goes_on_whatever_stands_ready(damaged: Scene) -> None:
    before, first = shop.fingerprint(damaged.node), damaged.backup
    second = damaged.back_up()
    assert damaged.restore(backup=first, at=Point("7")).ended == "killed"
    assert damaged.restore(backup=second, at=Point("2", transfer=True)).ended == "killed"
    assert damaged.run("instance-restore-undo", at=Point("5", 2)).ended == "killed"
    (aside,) = damaged.aside()
    damaged.live.rename(aside.with_name(aside.name.replace("aside", "undone")))
    undone = damaged.run("instance-restore-undo")
    assert undone.completed, undone.said
    assert shop.fingerprint(damaged.node) == before


def test_a_restore_that_was_cut_off_does_not_bring_an_older_ones_data_back(damaged: Scene) -> None:
    assert damaged.restore().completed
    assert damaged.run("instance-restore-undo").completed
    (undone,) = (path.name.rpartition("-")[2] for path in damaged.live.parent.glob("*.undone-*"))
    assert damaged.restore().completed
    (older,) = (path.name.rpartition("-")[2] for path in damaged.aside())
    before = shop.fingerprint(damaged.node)
    assert damaged.restore(again=True, at=Point("5")).ended == "killed"
    refused = damaged.run("instance-restore-undo")
    assert refused.ended == "CheckFailed", refused.said
    assert "has set nothing aside: the old data still stands" in refused.said
    assert f"Start instance-restore again with backup={damaged.backup}" in refused.said
    assert f"this one with stamp={older}, which is older" in refused.said
    assert undone not in refused.said
    shortest = refused.said.partition("keep the old data, which stands there whole: ")[2]
    assert f"pg_ctl start -D {damaged.live} " in shortest, refused.said
    damaged.node.start()
    assert shop.fingerprint(damaged.node) == before
    named = damaged.run("instance-restore-undo", stamp=older, dry_run=True)
    assert named.completed, named.said
    assert named.plan is not None
    outcomes = {line.text: line.outcome for line in named.plan.lines}
    assert outcomes["the restore that was begun last has kept what it replaces"] == "not needed"
    outcome = damaged.restore(again=True)
    assert outcome.completed, outcome.said
    assert damaged.run("instance-restore-undo").completed
    assert shop.fingerprint(damaged.node) == before


def test_neither_restores_nor_undoes_over_a_swap_that_is_half_done(damaged: Scene) -> None:
    """An undo, then a restore, is killed between the tablespace and the data directory."""
    before = shop.fingerprint(damaged.node)
    assert damaged.restore().completed
    (first,) = (path.name.rpartition("-")[2] for path in damaged.aside())
    assert damaged.run("instance-restore-undo", at=Point("5", 2)).ended == "killed"
    seen = damaged.run("health-check", dry_run=True).said
    assert f"left by an interrupted run: what was set aside at {first} is half put back" in seen
    for refused in (damaged.restore(), damaged.restore(again=True)):
        assert refused.ended == "CheckFailed", refused.said
        assert f"instance-restore-undo with stamp={first}" in refused.said
    assert damaged.run("instance-restore-undo").completed
    assert shop.fingerprint(damaged.node) == before
    assert damaged.restore().completed
    (aside,) = damaged.aside()
    second = "20990101000000"  # by a worker whose clock is ahead
    for path in (aside, *damaged.node.tablespaces["cold"].glob("pgsql_tmp_aside-*")):
        path.rename(path.with_name(f"{path.name.rpartition('-')[0]}-{second}"))
    assert damaged.restore(again=True, at=Point("6", 2)).ended == "killed"
    seen = damaged.run("health-check", dry_run=True).said
    assert f"left by an interrupted run: of {damaged.backup}, some parts are in place" in seen
    for stamp in (second, "latest"):
        refused = damaged.run("instance-restore-undo", stamp=stamp)
        assert refused.ended == "CheckFailed", refused.said
        assert f"instance-restore with backup={damaged.backup}" in refused.said
    assert damaged.restore(again=True).completed
    assert_restored(damaged, asides=2)


def test_a_restore_that_is_half_in_place_is_undone_itself(damaged: Scene) -> None:
    before = shop.fingerprint(damaged.node)
    assert damaged.restore(at=Point("6", 2)).ended == "killed"
    assert not damaged.live.exists()  # the old data directory goes aside first
    undone = damaged.run("instance-restore-undo")
    assert undone.completed, undone.said
    assert shop.fingerprint(damaged.node) == before
    assert damaged.run("instance-restore-undo").changed == 0
    outcome = damaged.restore()
    assert outcome.completed, outcome.said
    assert_restored(damaged)


def test_what_was_put_back_once_is_not_taken_for_what_lives_after_another_restore(
    damaged: Scene,
) -> None:
    assert damaged.restore().completed
    (first,) = (path.name.rpartition("-")[2] for path in damaged.aside())
    assert damaged.run("instance-restore-undo").completed
    assert damaged.restore().completed
    (second,) = (path.name.rpartition("-")[2] for path in damaged.aside())
    with damaged.unchanged():
        refused = damaged.run("instance-restore-undo", stamp=first)
    assert refused.ended == "CheckFailed", refused.said
    assert "nothing was restored since it was put back" in refused.said
    assert f"stamp={second}" in refused.said
    assert damaged.run("discard-aside", stamp=second).completed
    with damaged.unchanged():
        refused = damaged.run("instance-restore-undo")
    assert refused.ended == "CheckFailed", refused.said
    assert "Nothing that can be put back is kept" in refused.said


@pytest.mark.parametrize("way", ["restore", "undo"])
def test_what_a_killed_swap_needs_is_not_discarded(damaged: Scene, way: str) -> None:
    before = shop.fingerprint(damaged.node)
    if way == "restore":
        assert damaged.restore(at=Point("5")).ended == "killed"
        aside = damaged.live.with_name(f"{damaged.live.name}.aside-20260101000000")
        damaged.live.rename(aside)  # as one that is killed between the two renames
        stamp = "20260101000000"
    else:
        assert damaged.restore().completed
        (aside,) = damaged.aside()
        stamp = aside.name.rpartition("-")[2]
        assert damaged.run("instance-restore-undo", at=Point("5", 2)).ended == "killed"
    with damaged.unchanged():
        refused = damaged.run("discard-aside", stamp=stamp)
    assert refused.ended == "CheckFailed"
    assert "interrupted" in refused.said
    assert (aside / "global/pg_control").exists()
    if way == "undo":
        undone = damaged.run("instance-restore-undo")
        assert undone.completed, undone.said
        assert shop.fingerprint(damaged.node) == before
