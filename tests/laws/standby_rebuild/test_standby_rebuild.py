"""Laws of standby-rebuild on a repmgr cluster of three, with a tablespace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import processes, split
from tests.lab.repmgr import configuration
from tests.laws.outcome import Outcome, Point
from tests.laws.rebuild_troubles import assert_whole, incoming, lose, own_line
from tests.laws.replication_scene import Scene
from tests.laws.standby_rebuild.lost_standby import configured, own_line_kept, rebuild

pytestmark = pytest.mark.lab


def test_a_lost_standby_is_cloned_again_and_a_second_run_changes_nothing(healthy: Scene) -> None:
    lost = healthy.node("rb")
    own = own_line(lost).read_text()
    lose(lost)
    wal = elsewhere(lost.data_directory / "pg_wal", lost.directory / "wal")
    with healthy.unchanged():
        planned = healthy.run("standby-rebuild", dry_run=True)
    assert planned.completed, planned.said
    assert planned.plan is not None
    text = planned.plan.markdown()
    for said in ("standby clone --verify-backup", "main.aside-", "standby register -F"):
        assert said in text
    done = healthy.run("standby-rebuild")
    assert done.completed, done.said
    assert_whole(healthy, "ra", "rb", "rc")
    assert own_line_kept(lost.data_directory, own)
    assert len(healthy.aside(lost)) == 1
    assert incoming(lost) == []
    assert (lost.data_directory / "pg_wal").readlink() == wal
    assert any(path.is_file() for path in wal.iterdir())
    assert not (lost.data_directory / "backup_manifest").exists()
    lost.tool("pg_dump", "-d", "shop", "-f", "/dev/null")
    with healthy.unchanged():
        again = healthy.run("standby-rebuild")
    assert (again.ended, again.changed) == ("completed", 0), again.said


def elsewhere(directory: Path, there: Path) -> Path:
    """Move a directory of a stopped server and leave a link."""
    directory.rename(there)
    directory.symlink_to(there)
    return there


def test_a_sound_standby_on_a_mount_point_is_cloned_only_if_asked_for_again(
    healthy: Scene,
) -> None:
    live = healthy.node("rb").data_directory
    assert rebuild(healthy).changed == 0
    processes.run(["mount", "--bind", live, live])
    killed = rebuild(healthy, again=True, at=Point("5"))
    assert killed.ended == "killed"
    done = rebuild(healthy, again=True)
    assert done.completed, done.said
    assert_whole(healthy, "ra", "rb", "rc")
    (aside,) = healthy.aside(healthy.node("rb"))
    assert aside.parent == live


def test_what_cannot_be_rebuilt_is_refused_before_the_first_change(healthy: Scene) -> None:
    scene, lost = healthy, healthy.node("rb")
    own = configuration(lost).read_text()
    with scene.unchanged():
        assert_refused(rebuild(scene, standby="ra"), "Refused", "it accepts writes")
        assert_refused(rebuild(scene, standby="rx"), "CheckFailed", "has no node 'rx'")
    configuration(lost).write_text(own.replace("/main'", "/elsewhere'"))
    assert_refused(rebuild(scene, again=True), "CheckFailed", "names the data directory")
    configuration(lost).write_text(own)
    lost.stop()
    scene.node("rc").stop()
    with scene.unchanged():
        assert_refused(rebuild(scene, standby=""), "CheckFailed", "name one")
    scene.node("rc").start()
    split.orphan_slot(scene.node("ra"), "repmgr_slot_9")
    scene.node("ra").stop()
    with scene.unchanged():
        assert_refused(rebuild(scene), "Unreachable", "no node accepts writes")


def assert_refused(outcome: Outcome, kind: str, *said: str) -> None:
    assert outcome.ended == kind, outcome.said
    assert outcome.commands == []
    for text in said:
        assert text in outcome.said


def test_own_files_that_say_less_than_the_primary_are_refused_before_the_clone(
    healthy: Scene,
) -> None:
    first, lost = healthy.node("ra"), healthy.node("rb")
    lost.stop()
    first.psql("ALTER SYSTEM SET max_connections = 250")
    first.stop()
    first.start()
    assert rebuild(healthy, dry_run=True).completed  # postgresql.auto.conf comes with the clone
    first.psql("ALTER SYSTEM RESET max_connections")
    configured(first, "max_connections = 250")
    assert_refused(rebuild(healthy), "CheckFailed", "max_connections 100 < 250", "postgresql.conf")
    configured(lost, "max_connections = 300")
    done = rebuild(healthy)
    assert done.completed, done.said
    assert lost.psql("SHOW max_connections") == "300"


def test_a_second_primary_is_told_and_what_only_it_held_is_kept(healthy: Scene) -> None:
    strayed = healthy.node("rb")
    split.promoted_by_hand(strayed)
    strayed.psql("CREATE TABLE only_here AS SELECT 1 AS x", database="shop")
    refused = rebuild(healthy)
    assert refused.ended == "CheckFailed"
    assert "2 nodes accept writes" in refused.said
    strayed.stop()
    done = rebuild(healthy)
    assert done.completed, done.said
    assert done.plan is not None
    held = next(fact.value for fact in done.plan.facts if fact.name == "only the old data hold")
    assert held.startswith("1 commit"), held
    assert "from" in held
    assert_whole(healthy, "ra", "rb", "rc")
    assert len(healthy.aside(strayed)) == 1


def test_stale_metadata_and_slots_are_put_right_and_strangers_left_alone(healthy: Scene) -> None:
    first, lost = healthy.node("ra"), healthy.node("rb")
    lost.stop()
    split.drop_slot(first, "repmgr_slot_2")
    split.forgotten(first, lost)
    split.orphan_slot(first, "repmgr_slot_1")
    split.orphan_slot(first, "repmgr_slot_99")
    done = rebuild(healthy)
    assert done.completed, done.said
    assert "repmgr_slot_99" in done.told
    assert (
        first.psql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'repmgr_slot_1'")
        == "0"
    )
    first.psql("SELECT pg_drop_replication_slot('repmgr_slot_99')")
    assert_whole(healthy, "ra", "rb", "rc")


def test_repmgrd_is_paused_meanwhile_and_works_again_afterwards(healthy: Scene) -> None:
    first, lost = healthy.node("ra"), healthy.node("rb")
    daemons = healthy.daemons()
    daemons.start(first, healthy.node("rc"))
    lose(lost)
    killed = rebuild(healthy, at=Point("3"))
    assert killed.ended == "killed"
    assert daemons.paused(first)
    done = rebuild(healthy)
    assert done.completed, done.said
    assert not daemons.paused(first)
    assert_whole(healthy, "ra", "rb", "rc")
