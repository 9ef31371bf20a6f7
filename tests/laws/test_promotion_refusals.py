"""Bad input and unfit candidates are refused before the first change, with a way out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.lab import judge, processes, split, trouble
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.laws import promotion_scene
from tests.laws.promotion_scene import assert_in_service, assert_promoted
from tests.laws.replication_scene import Scene

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    base = tmp_path_factory.mktemp("refused")
    scene = promotion_scene.build(loopback_lab, "pra", "prb", "prc", base=base)
    yield scene
    scene.halt()


@pytest.fixture
def healthy(scene: Scene) -> Iterator[Scene]:
    """The cluster in service; a test that is refused leaves it so."""
    kept = dict(scene.node_settings), dict(scene.app_settings), dict(scene.cluster_settings)
    yield scene
    scene.node_settings, scene.app_settings, scene.cluster_settings = kept
    assert judge.writable(scene.nodes) == ("pra",)
    assert judge.timeline(scene.node("pra")) == 1
    both = {"prb", "prc"}
    processes.until(lambda: set(judge.streaming(scene.node("pra"), scene.nodes)) == both, "whole")


def refused(scene: Scene, *says: str, kind: str = "CheckFailed", **arguments: object) -> None:
    """Run, and insist on a refusal that says this, with nothing changed."""
    with scene.unchanged():
        outcome = scene.run("promotion", **{"to": "prb", **arguments})
    assert outcome.ended == kind, outcome.said
    for text in says:
        assert text in outcome.said
    assert "DETAIL" in outcome.said or "HINT" in outcome.said


def test_nodes_that_do_not_fit(healthy: Scene) -> None:
    refused(healthy, "has no node 'nobody'", to="nobody")
    refused(healthy, "pra is the primary already", to="pra")
    refused(healthy, "skip names", "nothing", kind="SettingsError", skip="nothing")


def test_a_node_without_repmgr(healthy: Scene) -> None:
    healthy.node_settings = {"repmgr": None}
    refused(healthy, "no repmgr in its settings", kind="SettingsError")


@contextmanager
def changed(node: PostgresNode, name: str, value: str, *, restart: bool = False) -> Iterator[None]:
    node.psql(f"ALTER SYSTEM SET {name} = '{value}'")
    _again(node, restart=restart)
    try:
        yield
    finally:
        node.psql(f"ALTER SYSTEM RESET {name}")
        _again(node, restart=restart)


def _again(node: PostgresNode, *, restart: bool) -> None:
    if restart:
        node.stop()
        node.start()
    else:
        node.reload()


def test_standbys_that_cannot_take_over(healthy: Scene) -> None:
    old, new, other = healthy.nodes
    troubles: list[tuple[AbstractContextManager[object], str]] = [
        (split.replay_paused(new), "replay on prb is not paused"),
        (split.apply_delayed(new), "recovery_min_apply_delay"),
        (split.cut_off(new), "prb streams from pra"),
        (changed(new, "default_transaction_read_only", "on"), "default_transaction_read_only"),
        (changed(new, "synchronous_standby_names", "pra"), "would wait for nobody"),
        (changed(new, "max_replication_slots", "1", restart=True), "has slots for all"),
        (changed(new, "max_connections", "150", restart=True), "not configured smaller than prb"),
    ]
    for trouble_, text in troubles:
        with trouble_:
            refused(healthy, text)
    with trouble.killed(new):
        refused(healthy, "does not answer", kind="Unreachable")
    assert old.is_running()
    assert other.is_running()


def test_a_lagging_standby(healthy: Scene) -> None:
    old, new, _ = healthy.nodes
    with split.replay_paused(new):
        old.psql("CREATE TABLE much AS SELECT repeat('x', 1000) FROM generate_series(1, 30000)")
        new.psql("SELECT 1")
    old.psql("DROP TABLE much")
    with split.apply_delayed(new, "1h"):
        old.psql("CREATE TABLE more AS SELECT repeat('x', 1000) FROM generate_series(1, 30000)")
        refused(healthy, "has replayed all but 16 MB")
    old.psql("DROP TABLE more")


@contextmanager
def metadata(old: PostgresNode, bad: str, good: str) -> Iterator[None]:
    old.psql(bad, database="repmgr")
    try:
        yield
    finally:
        old.psql(good, database="repmgr")


def test_metadata_that_are_stale(healthy: Scene) -> None:
    old, new, _ = healthy.nodes
    nodes = "UPDATE repmgr.nodes SET"
    where = "WHERE node_id = 2"
    with metadata(old, f"{nodes} active = false {where}", f"{nodes} active = true {where}"):
        refused(healthy, "prb is in service for repmgr", "standby register -F")
    address = new.host.address
    moved = f"{nodes} conninfo = replace(conninfo, '{{}}', '{{}}') {where}"
    with metadata(old, moved.format(address, "127.0.0.9"), moved.format("127.0.0.9", address)):
        refused(healthy, "repmgr looks for prb where the settings have it", "stale")
    split.ghost(old)
    try:
        refused(healthy, "the settings name every node that repmgr knows", "ghost (99)")
    finally:
        old.psql("DELETE FROM repmgr.nodes WHERE node_id = 99", database="repmgr")
    keep = "CREATE TABLE kept AS SELECT * FROM repmgr.nodes WHERE node_id = 2"
    old.psql(keep, database="repmgr")
    split.forgotten(old, new)
    try:
        refused(healthy, "repmgr does not know node prb", "standby register")
    finally:
        old.psql("INSERT INTO repmgr.nodes SELECT * FROM kept; DROP TABLE kept", database="repmgr")


@contextmanager
def backup(node: PostgresNode) -> Iterator[None]:
    """Take a base backup that never ends: nobody reads what it sends."""
    argv = [str(node.bin_directory / "pg_basebackup"), "-D", "-", "-Ft", "-X", "none", "-c", "fast"]
    argv += ["-d", node.conninfo(), "-r", "32k"]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    running = "SELECT count(*) FROM pg_stat_progress_basebackup"
    try:
        processes.until(lambda: node.psql(running) == "1", "the backup runs")
        yield
    finally:
        process.kill()
        process.wait()
        processes.until(lambda: node.psql(running) == "0", "the backup has ended", within=60)


def test_a_running_base_backup(healthy: Scene) -> None:
    with backup(healthy.node("prc")):
        refused(healthy, "no base backup is running", "prc: 1")


def test_an_application_host_that_does_not_answer(healthy: Scene) -> None:
    (app,) = healthy.apps
    with trouble.unreachable(app.host):
        refused(healthy, app.host.address, kind="Unreachable")


def test_an_application_is_left_out_knowingly(healthy: Scene) -> None:
    old, new, other = healthy.nodes
    (app,) = healthy.apps
    with trouble.unreachable(app.host):
        outcome = healthy.run("promotion", to="prb", skip=app.name)
    assert outcome.completed, outcome.said
    assert app.name in outcome.told
    assert_promoted(healthy, new, other)
    assert app.database == old.host.address
    whole = healthy.run("promotion", to="prb")
    assert whole.completed, whole.said
    assert_in_service(healthy, new)
    healthy.reset()
