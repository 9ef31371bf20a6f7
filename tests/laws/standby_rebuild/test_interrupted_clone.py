"""A clone that is killed, cancelled, cut off, or out of room: the next run makes it anew."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import pytest

from tests.lab import processes, split, trouble
from tests.lab.repmgr import configuration
from tests.laws.outcome import Point
from tests.laws.rebuild_troubles import (
    assert_nothing_left,
    assert_whole,
    incoming,
    lose,
    own_line,
    slow_down,
)
from tests.laws.replication_scene import Scene
from tests.laws.standby_rebuild.lost_standby import configured, own_line_kept, rebuild

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
