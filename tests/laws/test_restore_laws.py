"""The laws of DESIGN section 4 for instance-restore, its undo and discard-aside."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import shop
from tests.lab.loopback import LoopbackLab
from tests.laws import restore_scene
from tests.laws.outcome import ASKED, Point
from tests.laws.restore_scene import Scene, assert_restored, servers_on

pytestmark = pytest.mark.lab

STEPS = [Point(str(number)) for number in range(1, 9)]
INSIDE = [
    Point("2", transfer=True),
    *(Point("2", action) for action in (2, 3, 4)),
    *(Point("6", action) for action in (1, 2, 3)),
    *(Point("7", action) for action in (1, 2, 3)),
    Point("9", 1),
]
CANCELLED = [
    Point("2", transfer=True, signal=signal.SIGINT),
    Point("2", 3, signal=signal.SIGTERM),
    Point("2", 4, signal=signal.SIGINT),
    Point("4", signal=signal.SIGTERM),
    Point("5", signal=signal.SIGINT),
    Point("6", 2, signal=signal.SIGTERM),
    Point("7", signal=signal.SIGINT),
]


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return restore_scene.build(loopback_lab, "law", tmp_path_factory.mktemp("law"))


@pytest.fixture
def damaged(scene: Scene) -> Iterator[Scene]:
    """The instance as it was after the damage; nothing of a restore is left when the test ends."""
    scene.reset()
    yield scene
    scene.node.stop("immediate")


def test_a_dry_run_changes_nothing_and_prints_every_step(damaged: Scene) -> None:
    with damaged.unchanged():
        outcome = damaged.restore(dry_run=True)
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    assert [number for number, _ in outcome.plan.headings] == [str(n) for n in range(1, 10)]
    shown = outcome.plan.markdown()
    assert f"mv {damaged.live} {damaged.live}.aside-" in shown
    assert "pg_verifybackup" in shown


def test_a_restore_reaches_its_goal_and_a_second_one_changes_nothing(damaged: Scene) -> None:
    assert int(damaged.node.psql("SELECT timeline_id FROM pg_control_checkpoint()")) == 1
    first = damaged.restore()
    assert first.completed, first.said
    assert_restored(damaged)
    damaged.node.tool("pg_amcheck", "--all", "--install-missing", "--heapallindexed")
    assert damaged.node.psql("CHECKPOINT; SELECT timeline_id FROM pg_control_checkpoint()") == "2"
    where = "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'cold'"
    assert damaged.node.psql(where) == str(damaged.node.tablespaces["cold"])
    assert float(str(first.memory["recovery time seconds"])) > 0
    with damaged.unchanged():
        second = damaged.restore()
    assert (second.ended, second.changed, second.said) == ("completed", 0, "")


def test_a_base_backup_after_a_restore_holds_nothing_of_it(damaged: Scene, tmp_path: Path) -> None:
    assert damaged.restore().completed
    tmp_path.parent.chmod(0o755)
    target = damaged.node.directory / "taken"
    damaged.node.tool("pg_basebackup", "-D", target, "-F", "tar", "-c", "fast")
    names = (target / "backup_manifest").read_text()
    assert "pgsql_tmp" not in names


def test_again_restores_once_more_on_a_timeline_of_its_own(damaged: Scene) -> None:
    assert damaged.restore().completed
    damaged.damage()
    killed = damaged.restore(again=True, at=Point("6"))
    assert killed.ended == "killed"
    outcome = damaged.restore(again=True)
    assert outcome.completed, outcome.said
    assert_restored(damaged, asides=2)
    assert damaged.node.psql("CHECKPOINT; SELECT timeline_id FROM pg_control_checkpoint()") == "3"
    assert damaged.restore().changed == 0


def test_after_an_undo_no_timeline_is_taken_twice(damaged: Scene) -> None:
    """What was restored may have archived its WAL; only what is kept of it has the number."""
    assert damaged.restore().completed
    assert damaged.run("instance-restore-undo").completed
    outcome = damaged.restore()
    assert outcome.completed, outcome.said
    assert_restored(damaged)
    assert damaged.node.psql("CHECKPOINT; SELECT timeline_id FROM pg_control_checkpoint()") == "3"


def test_again_is_never_taken_for_the_end_of_a_restore_that_is_in_use(damaged: Scene) -> None:
    assert damaged.restore(at=Point("8")).ended == "killed"
    damaged.damage()
    refused = damaged.restore(again=True)
    assert refused.ended == "CheckFailed"
    assert "without again=true" in refused.said
    assert damaged.restore().completed
    outcome = damaged.restore(again=True)
    assert outcome.completed, outcome.said
    assert_restored(damaged, asides=2)


@pytest.mark.parametrize("point", [*STEPS, *INSIDE], ids=str)
def test_killed_and_started_again_it_finishes(damaged: Scene, point: Point) -> None:
    killed = damaged.restore(at=point)
    assert killed.ended == "killed"
    outcome = damaged.restore()
    assert outcome.completed, outcome.said
    assert_restored(damaged)
    assert float(str(outcome.memory["recovery time seconds"])) > 0
    if point.step > "5" and point != Point("6", 1):
        assert not [line for line in outcome.commands if "pg_ctl stop" in line]
    if point.step > "6":
        assert not [line for line in outcome.commands if line.startswith("mv ") and "aside" in line]
    assert damaged.restore().changed == 0


@pytest.mark.parametrize("point", CANCELLED, ids=str)
def test_cancelled_it_leaves_no_process_and_no_half_directory(damaged: Scene, point: Point) -> None:
    outcome = damaged.restore(at=point)
    assert outcome.ended in ("KeyboardInterrupt", "_Terminated")
    assert damaged.stray() == []
    if point.step == "2":
        assert damaged.leftovers() == []
        assert damaged.node.is_running()
    again = damaged.restore()
    assert again.completed, again.said
    assert_restored(damaged)


def test_a_refusal_leaves_everything_as_it_was(damaged: Scene) -> None:
    before = shop.fingerprint(damaged.node)
    pid = damaged.node.pid
    beside = sorted(path.name for path in damaged.node.directory.iterdir())
    outcome = damaged.restore(answer="refuse")
    assert outcome.ended == "RefusedByPerson"
    assert damaged.node.pid == pid
    assert shop.fingerprint(damaged.node) == before
    assert damaged.leftovers() == []
    assert sorted(path.name for path in damaged.node.directory.iterdir()) == beside


def test_a_refusal_leaves_what_another_run_has_half_put_in_place(damaged: Scene) -> None:
    wanted = {"cluster": damaged.name, "backup": damaged.backup}
    thinking = damaged.runner.start("instance-restore", at=ASKED, answer="refuse", **wanted)
    thinking.halted()
    assert damaged.restore(at=Point("6", 2)).ended == "killed"
    half = damaged.leftovers()
    assert half
    thinking.send(signal.SIGCONT)
    outcome = thinking.outcome()
    assert outcome.ended == "RefusedByPerson", outcome.said
    assert damaged.leftovers() == half
    assert "has begun the outage with it" in str(outcome.record[-2])
    again = damaged.restore()
    assert again.completed, again.said
    assert_restored(damaged)


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


def test_no_prune_removes_the_backup_of_a_restore_that_is_half_in_place(damaged: Scene) -> None:
    before = set(damaged.store.iterdir())
    assert damaged.run("base-backup").completed
    try:
        assert damaged.restore(at=Point("6", 2)).ended == "killed"
        pruned = damaged.run("prune", keep=1)
        assert pruned.completed, pruned.said
        assert f"{damaged.backup} stays" in pruned.told
        outcome = damaged.restore()
        assert outcome.completed, outcome.said
        assert_restored(damaged)
        freed = damaged.run("prune", keep=1, dry_run=True)
        assert freed.plan is not None
        assert f"remove {damaged.backup}/" in freed.plan.markdown()
    finally:
        for newer in set(damaged.store.iterdir()) - before:
            shutil.rmtree(newer)


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


def test_a_server_that_answers_and_is_too_damaged_to_say_who_it_is_is_restored(
    damaged: Scene,
) -> None:
    lost = damaged.live / "global/pg_control"
    lost.rename(lost.with_name("lost"))
    outcome = damaged.restore()
    assert outcome.completed, outcome.said
    (aside,) = damaged.aside()
    (aside / "global/lost").rename(aside / "global/pg_control")
    assert_restored(damaged)


def test_a_worker_on_the_node_itself_restores_without_ssh(damaged: Scene) -> None:
    damaged.local = True
    try:
        killed = damaged.restore(at=Point("6", 2))
        assert killed.ended == "killed"
        outcome = damaged.restore()
    finally:
        damaged.local = False
    assert outcome.completed, outcome.said
    assert_restored(damaged)
