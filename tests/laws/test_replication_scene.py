"""The replication scene is real: what its resets, judges, clients and troubles are worth."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import counting, judge, processes, split, trouble
from tests.lab.errors import LabError
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.lab.repmgr import configuration
from tests.laws import replication_scene
from tests.laws.outcome import Point
from tests.laws.replication_scene import Scene

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    base = tmp_path_factory.mktemp("scene")
    return replication_scene.build(loopback_lab, "sa", "sb", "sc", base=base)


@pytest.fixture
def healthy(scene: Scene) -> Iterator[Scene]:
    scene.reset()
    yield scene
    scene.halt()


def settings_of(scene: Scene) -> list[str]:
    """Read every file that a runbook may rewrite."""
    files = [path for node in scene.nodes for path in (configuration(node), auto_conf(node))]
    return [path.read_text() for path in [*files, *(app.settings for app in scene.apps)]]


def auto_conf(node: PostgresNode) -> Path:
    return node.data_directory / "postgresql.auto.conf"


def assert_golden(scene: Scene, settings: list[str]) -> None:
    first, *others = scene.nodes
    assert scene.writable() == (first.name,)
    streams = scene.streaming(first)
    assert {stream.timeline for stream in streams.values()} == {1}
    assert set(streams) == {node.name for node in others}
    assert {slot.name: slot.active for slot in scene.slots(first).values()} == {
        "repmgr_slot_2": True,
        "repmgr_slot_3": True,
    }
    assert scene.slots(others[0]) == {}
    assert all(scene.show(node) == {1: (0, 0), 2: (0, 1), 3: (0, 1)} for node in scene.nodes)
    assert scene.servers() == {node.name: ["main"] for node in scene.nodes}
    assert {scene.fingerprint(node) for node in scene.nodes} == {scene.fingerprints}
    assert settings_of(scene) == settings
    assert not any(scene.aside(node) for node in scene.nodes)


def test_a_reset_undoes_a_promotion_and_all_that_came_with_it(healthy: Scene) -> None:
    settings = settings_of(healthy)
    assert_golden(healthy, settings)
    first, second, third = healthy.nodes
    first.stop()
    healthy.cluster.repmgr(second, "standby", "promote")
    second.psql("DELETE FROM orders", database="shop")
    split.orphan_slot(second)
    split.ghost(second)
    third.stop()
    third.data_directory.rename(third.directory / "main.aside-1")
    second.psql("ALTER SYSTEM SET work_mem = '8MB'")
    configuration(second).write_text("node_id = 7\n")
    healthy.apps[0].settings.write_text("DATABASE_HOST: nowhere\n")
    third.host.stop_ssh()
    daemon_of_nobody = healthy.daemons()
    assert healthy.writable() == (second.name,)
    assert judge.timeline(second) == 2
    healthy.reset()
    assert_golden(healthy, settings)
    assert daemon_of_nobody.pid(second) == 0
    assert third.host.run(["true"]).returncode == 0
    assert healthy.apps[0].pid
    for node in healthy.nodes[:1]:
        judge.amcheck(node)


def test_the_judges_see_a_split_brain_made_by_hand(healthy: Scene) -> None:
    first, second, third = healthy.nodes
    split.promoted_by_hand(second)
    assert healthy.writable() == (first.name, second.name)
    processes.until(lambda: list(healthy.streaming(first)) == [third.name], "its stream has ended")
    assert list(healthy.show(first).values()).count((0, 0)) == 2
    with trouble.frozen(second):
        assert healthy.writable() == (first.name,)


def test_a_client_loses_nothing_while_nothing_happens(healthy: Scene) -> None:
    with healthy.writer() as writer:
        writer.wait_for_rows(20)
        history = writer.stop()
    app = healthy.apps[0]
    processes.until(lambda: len(app.history.acknowledged) >= 20, "the application has written")
    app.stop()
    assert app.pid == 0
    for seen in (history, app.history):
        assert len(seen.acknowledged) >= 20
        assert seen.failed == ()
        assert seen.lost(healthy.nodes[0]) == set()
        assert seen.outage < 1
    healthy.nodes[0].psql("DELETE FROM counted_rows WHERE number = 3", database="shop")
    assert history.lost(healthy.nodes[0]) == {3}


def test_what_a_failover_loses_is_what_came_after_the_fork(healthy: Scene) -> None:
    first, second, third = healthy.nodes
    with split.cut_off(second, third), healthy.writer() as writer:
        writer.wait_for_rows(20)
        trouble.kill(first)
        assert judge.received(second) <= judge.position(second)
        split.promoted_by_hand(second)
        writer.wait_for_rows(5)
        history = writer.stop()
    lost = history.lost(second)
    assert len(lost) >= 20
    assert lost == history.after(judge.fork(second))
    assert 0 < history.outage < 20
    assert healthy.writable() == (second.name,)
    assert healthy.apps[0].history.outage == float("inf")


def test_an_application_follows_its_file_when_it_is_started_again(healthy: Scene) -> None:
    first, second, _ = healthy.nodes
    app = healthy.apps[0]
    split.promoted_by_hand(second)
    trouble.kill(first)
    app.settings.write_text(app.settings.read_text().replace(app.database, second.host.address))
    processes.until(lambda: app.history.outage == float("inf"), "the application knows")
    app.host.run(app.command("stop"))
    app.host.run(app.command("start"))
    processes.until(
        lambda: len(app.history.acknowledged) > 3 and app.history.failed == (),
        "the application has a history of its own again, and writes",
    )
    assert app.host.run(app.command("running"), check=False).returncode == 0


def test_a_supervisor_revives_a_server_until_it_is_fenced(healthy: Scene) -> None:
    first = healthy.nodes[0]
    with split.supervised(first):
        before = first.pid or 0
        processes.send(before, signal.SIGINT)  # pg_ctl would wait for the end of the next one, too
        processes.until(lambda: first.pid not in (None, before), "it is back")
        processes.until(lambda: healthy.writable() == (first.name,), "it serves")
        processes.run(split.fence_command(first))
        time.sleep(0.5)
        assert not first.is_running()
        assert healthy.servers()[first.name] == []


def test_a_standby_that_lags_shows_less_than_it_has(healthy: Scene) -> None:
    first, second, third = healthy.nodes
    with split.replay_paused(second), split.apply_delayed(third):
        first.psql("CREATE TABLE late (x int)")
        here = judge.position(first)
        processes.until(lambda: judge.received(second) >= here, "received")
        processes.until(lambda: judge.received(third) >= here, "received")
        assert judge.position(second) < here
        assert third.psql("SELECT to_regclass('late')") == ""
    processes.until(lambda: judge.position(third) >= here, "replayed")
    assert third.psql("SHOW recovery_min_apply_delay") == "0"


def test_a_base_backup_that_goes_on_is_a_stray(healthy: Scene) -> None:
    assert healthy.strays() == []
    first = healthy.nodes[0]
    target = first.directory / "stray"
    slow = (first.bin_directory / "pg_basebackup", "-h", first.socket_directory, "-D", target)
    with subprocess.Popen(("runuser", "-u", "postgres", "--", *slow, "-r", "1M"), cwd="/"):
        processes.until(lambda: len(judge.strays(first, within=0)) > 3, "it runs")
        found = judge.strays(first, within=0.2)
        healthy.reset()
    assert [line for line in found if "bin/pg_basebackup" in line]
    assert [line for line in found if line.startswith("base backup")]
    assert [line for line in found if line.startswith("temporary slot")]
    assert healthy.strays() == []


def test_repmgrd_is_real_and_can_be_paused(healthy: Scene) -> None:
    first, second, _ = healthy.nodes
    daemons = healthy.daemons()
    daemons.start(first, second)
    assert daemons.running(second)
    assert not daemons.paused(second)
    healthy.cluster.repmgr(first, "service", "pause", check=False)
    assert daemons.paused(second)
    daemons.stop()
    assert not daemons.running(second)


def test_a_small_disk_is_full_and_is_gone_afterwards(healthy: Scene) -> None:
    third = healthy.nodes[2]
    third.stop()
    target = third.directory / "copy"
    arguments = ("-h", healthy.nodes[0].host.address, "-U", "repmgr", "-D", target)
    with trouble.small_disk(third, free=4 << 20) as ballast:
        with pytest.raises(LabError, match="No space left"):
            third.tool("pg_basebackup", *arguments)
        trouble.fill(ballast, 2 << 20)
        third.start()
        assert third.psql("SELECT pg_is_in_recovery()") == "t"
    assert not target.exists()
    assert not third.is_running()
    third.start()


def test_unchanged_names_what_changed_on_any_node_or_application(healthy: Scene) -> None:
    app = healthy.apps[0]
    with healthy.unchanged():
        written = len(app.history.answers)
        assert app.pid
        time.sleep(0.1)
        assert len(app.history.answers) == written
    with pytest.raises(AssertionError, match=r"sb: file .*repmgr\.conf"), healthy.unchanged():
        configuration(healthy.nodes[1]).write_text("node_id = 9\n")
    with pytest.raises(AssertionError, match="sc: statement"), healthy.unchanged():
        healthy.nodes[2].psql("SELECT pg_create_physical_replication_slot('x')")
    with pytest.raises(AssertionError), healthy.unchanged():
        app.stop()


def test_a_run_stands_still_at_a_moment_while_something_is_done(healthy: Scene) -> None:
    seen: list[tuple[str, ...]] = []
    outcome = healthy.run_with("base-backup", Point("1"), lambda: seen.append(healthy.writable()))
    assert outcome.completed, outcome.said
    assert seen == [(healthy.nodes[0].name,)]
    healthy.back_up()
    healthy.keep()
    assert healthy.writable() == (healthy.nodes[0].name,)
    with pytest.raises(AssertionError, match="has not come to its point"):
        healthy.run_with("base-backup", Point("99"), lambda: None)


def test_the_positions_of_rows_are_numbers() -> None:
    assert counting.lsn_of("1/2A") == (1 << 32) + 42
