"""Laws of standby-rebuild on a repmgr cluster of three, with a tablespace."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab import processes, split, trouble
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.lab.repmgr import configuration
from tests.laws import replication_scene
from tests.laws.outcome import Outcome, Point
from tests.laws.rebuild_troubles import (
    assert_nothing_left,
    assert_whole,
    incoming,
    lose,
    own_line,
    slow_down,
)
from tests.laws.replication_scene import Scene

pytestmark = pytest.mark.lab

KILLED = [
    Point("3"),
    Point("4", transfer=True),
    Point("4"),
    Point("5", 2),
    Point("5"),
    Point("6"),
    Point("7"),
]


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    base = tmp_path_factory.mktemp("rebuild")
    return replication_scene.build(
        loopback_lab, "ra", "rb", "rc", base=base, apps=0, tablespaces=("cold",)
    )


@pytest.fixture
def healthy(scene: Scene) -> Iterator[Scene]:
    scene.reset()
    yield scene
    scene.halt()


def rebuild(scene: Scene, **arguments: object) -> Outcome:
    return scene.run("standby-rebuild", **{"standby": "rb", **arguments})


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


def own_line_kept(directory: Path, text: str) -> bool:
    return (directory / "postgresql.conf").read_text() == text


def test_killed_again_and_again_it_finishes(healthy: Scene) -> None:
    lost = healthy.node("rb")
    slow_down(lost)
    lose(lost)
    for point in KILLED:
        killed = rebuild(healthy, at=point)
        assert killed.ended == "killed", f"{point}: {killed.said}"
        assert_nothing_left(healthy, lost) if point.step == "4" and point.transfer else None
    done = rebuild(healthy)
    assert done.completed, done.said
    assert_whole(healthy, "ra", "rb", "rc")
    assert len(healthy.aside(lost)) == 1
    assert incoming(lost) == []
    assert rebuild(healthy).changed == 0


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


def test_cancelled_in_the_clone_it_leaves_nothing(healthy: Scene) -> None:
    lost = healthy.node("rb")
    slow_down(lost)
    lose(lost)
    ended = rebuild(healthy, at=Point("4", transfer=True, signal=signal.SIGTERM))
    assert ended.ended == "_Terminated", ended.said
    assert_nothing_left(healthy, lost)
    assert incoming(lost) == []
    assert healthy.servers()["rb"] == []


def test_cancelled_it_drops_the_slot_that_it_made_however_late_its_walsender_ends(
    healthy: Scene,
) -> None:
    first, lost = healthy.node("ra"), healthy.node("rb")
    slow_down(lost)
    lose(lost)
    split.drop_slot(first, "repmgr_slot_2")
    halt = Point("4", transfer=True, signal=signal.SIGSTOP)
    running = healthy.runner.start("standby-rebuild", cluster=healthy.name, standby="rb", at=halt)
    running.halted()
    user = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'repmgr_slot_2'"
    walsender = int(first.psql(user))
    os.kill(walsender, signal.SIGSTOP)
    try:
        running.send(signal.SIGCONT)
        time.sleep(1)  # another thread would get a signal that comes with SIGCONT
        running.send(signal.SIGTERM)
        processes.until(lambda: not incoming(lost), "the half clone is gone")
        time.sleep(2)  # the run meets the slot in use
    finally:
        os.kill(walsender, signal.SIGCONT)
    ended = running.outcome()
    assert ended.ended == "_Terminated", ended.said
    assert set(healthy.slots(first)) == {"repmgr_slot_3"}
    undone = [str(each["command"]) for each in ended.record if each["event"] == "taken back"]
    dropped = [line for line in undone if "pg_drop_replication_slot" in line]
    assert len(dropped) == 1
    assert "repmgr_slot_2" in dropped[0]


def test_a_clone_whose_connection_is_cut_is_made_anew(healthy: Scene) -> None:
    lost = healthy.node("rb")
    slow_down(lost)
    lose(lost)
    cut = trouble.unreachable(lost.host)
    ended = healthy.run_with(
        "standby-rebuild", Point("4", transfer=True), cut.__enter__, standby="rb"
    )
    cut.__exit__(None, None, None)
    assert ended.cut_off, ended.said
    assert_nothing_left(healthy, lost)
    configuration(lost).write_text(configuration(lost).read_text().replace("--max-rate=8M", ""))
    done = rebuild(healthy)
    assert done.completed, done.said
    assert_whole(healthy, "ra", "rb", "rc")


def test_a_disk_that_fills_up_leaves_the_old_data_and_nothing_that_looks_whole(
    healthy: Scene,
) -> None:
    lost = healthy.node("rb")
    slow_down(lost)
    lost.stop()
    before = sorted(path.name for path in lost.data_directory.iterdir())
    with trouble.small_disk(lost, free=150 << 20) as ballast:
        ended = healthy.run_with(
            "standby-rebuild",
            Point("4", transfer=True),
            lambda: trouble.fill(ballast, 3 << 20),
            standby="rb",
        )
        assert ended.ended == "CommandFailed", ended.said
        assert "No space left" in ended.said
        assert_nothing_left(healthy, lost)
        assert incoming(lost) == []
        assert sorted(path.name for path in lost.data_directory.iterdir()) == before
        refused = rebuild(healthy)
        assert refused.ended == "Refused"
        assert "remove_old=true" in refused.said
        trouble.fill(ballast, 70 << 20)
        own = own_line(lost).read_text()
        killed = rebuild(healthy, remove_old=True, at=Point("4", 5))
        assert killed.ended == "killed", killed.said
        done = rebuild(healthy, remove_old=True)
        assert done.completed, done.said
        assert healthy.aside(lost) == []
        assert own_line_kept(lost.data_directory, own)
        assert_whole(healthy, "ra", "rb", "rc")


def test_a_killed_removal_of_the_old_data_goes_on_on_another_port(healthy: Scene) -> None:
    lost = healthy.node("rb")
    lost.stop()
    configured(lost, "port = 5433")
    file = configuration(lost)
    file.write_text(file.read_text().replace("port=5432", "port=5433"))
    before, (first, _, other) = healthy.cluster, healthy.nodes
    moved = "conninfo = replace(conninfo, 'port=5432', 'port=5433')"
    first.psql(f"UPDATE repmgr.nodes SET {moved} WHERE node_name = 'rb'", database="repmgr")
    healthy.cluster = replace(before, nodes=(first, replace(lost, port=5433), other))
    try:
        for point in (Point("4", 5), Point("4")):
            killed = rebuild(healthy, remove_old=True, at=point)
            assert killed.ended == "killed", f"{point}: {killed.said}"
            assert not (lost.data_directory / "postgresql.conf").exists()
        (mark,) = lost.directory.glob("*.incoming-clone/pgsql_tmp_restored.json")
        mark.unlink()  # as if the run had ended just before it was written
        done = rebuild(healthy, remove_old=True)
        assert done.completed, done.said
        assert incoming(lost) == []
        assert_whole(healthy, "ra", "rb", "rc")
    finally:
        healthy.cluster = before


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


def configured(node: PostgresNode, line: str) -> None:
    with (node.data_directory / "postgresql.conf").open("a") as file:
        file.write(f"{line}\n")


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
