"""health-check on a real repmgr pair: well when it is well, and each trouble on the right line."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from runbook.lock import only_run
from runbook.stream.base_backup import keep_wal
from runbook.stream.replication import Replication
from tests.lab import processes, split, trouble
from tests.lab.postgres import PostgresNode
from tests.laws.health.findings import ARCHIVED, has, limits, looked
from tests.laws.replication_scene import Scene

pytestmark = pytest.mark.lab


def test_all_is_well_and_nothing_is_changed(scene: Scene) -> None:
    with scene.unchanged():
        assert looked(scene, read_all=True) == []
    with (
        only_run(scene.runner.state / "locks", scene.name, (), holder="base-backup 1"),
        scene.unchanged(),
    ):
        outcome = scene.run("health-check", read_all=True)
    assert outcome.completed, outcome.said
    assert outcome.changed == 0
    assert "another run is at work" in outcome.told
    (found,) = [entry for entry in outcome.record if entry["event"] == "health"]
    assert re.fullmatch(r"\d\d OK", str(found["found"])), found
    assert outcome.memory["health"] == found["found"]


def test_a_standby_that_is_down_is_told_and_all_others_are_looked_at(scene: Scene) -> None:
    limits(scene, frozen_age=(1, 2e9))
    _, standby = scene.nodes
    standby.stop()
    try:
        found = looked(scene)
    finally:
        standby.start()
    assert has(found, "CRITICAL: hcb: server: no answer")
    assert has(found, "CRITICAL: hca: repmgr cluster show: does not reach hcb")
    assert has(found, "WARNING: hca: wraparound")
    assert not [line for line in found if "slot" in line and "node check" not in line]


def test_a_host_that_is_not_reached_and_an_application_that_is_down(scene: Scene) -> None:
    (app,) = scene.apps
    app.stop()
    try:
        with trouble.unreachable(scene.nodes[1].host):
            found = looked(scene)
    finally:
        app.start()
    assert has(found, "CRITICAL: hcb: server: no answer")
    assert has(found, f"CRITICAL: {app.name} on {app.name}: containers: not all of it runs")


def test_paused_replay_is_a_warning_and_its_lag_may_be_critical(scene: Scene) -> None:
    primary, standby = scene.nodes
    with split.replay_paused(standby):
        found = looked(scene)
        assert has(found, "WARNING: hcb: replay: is paused")
        assert not has(found, "CRITICAL")
        primary.psql("SELECT pg_logical_emit_message(false, 'test', repeat('x', 300000))")
        limits(scene, lag=("1KiB", "100KiB"))
        found = looked(scene)
    assert re.search(r"CRITICAL: hcb: lag: \d{3} kB of WAL, last transaction", str(found))
    assert has(found, 'WARNING: hca: repmgr cluster show: WAL replay is paused on node "hcb"')
    processes.until(lambda: looked(scene) == [], "replay has caught up")


def test_a_standby_that_does_not_stream_and_its_missing_slot(scene: Scene) -> None:
    primary, standby = scene.nodes
    with split.cut_off(standby):
        idle = "SELECT count(*) FROM pg_replication_slots WHERE active"
        processes.until(lambda: primary.psql(idle) == "0", "the slot is free")
        primary.psql("SELECT pg_drop_replication_slot('repmgr_slot_2')")
        found = looked(scene)
        primary.psql("SELECT pg_create_physical_replication_slot('repmgr_slot_2')")
    assert has(found, "CRITICAL: hcb: receiver: no WAL receiver runs")
    assert has(found, "WARNING: hca: slot repmgr_slot_2: is missing")
    processes.until(lambda: set(scene.streaming()) == {"hcb"}, "it streams again")


def test_a_slot_that_belongs_to_nobody(scene: Scene) -> None:
    primary, _ = scene.nodes
    name = split.orphan_slot(primary)
    found = looked(scene)
    primary.psql(f"SELECT pg_drop_replication_slot('{name}')")
    assert has(found, f"WARNING: hca: slot {name}: belongs to nobody")
    assert not has(found, "CRITICAL")


def test_what_keeps_the_wal_of_a_running_backup_is_no_standby(scene: Scene) -> None:
    primary, _ = scene.nodes
    connection = Replication(primary.conninfo())
    try:
        keep_wal(connection)
        connected = "SELECT count(*) FROM pg_stat_replication WHERE application_name ~ 'runbooks'"
        assert primary.psql(connected) == "1"
        assert looked(scene) == []
        asked = primary.psql("SELECT state FROM pg_stat_replication")
    finally:
        connection.close()
    assert sorted(asked.split()) == ["startup", "streaming"]


@contextmanager
def archiving(node: PostgresNode, command: str) -> Iterator[None]:
    """Let a server archive with another command for a while; its statistics begin anew."""
    set_to = "ALTER SYSTEM SET archive_command = '{}'"
    node.psql(set_to.format(command))
    node.reload()
    shown = "SELECT current_setting('archive_command')"
    processes.until(lambda: node.psql(shown) == command, "the command is read")
    try:
        yield
    finally:
        node.psql(set_to.format(ARCHIVED))
        node.reload()
        processes.until(lambda: node.psql(shown) == ARCHIVED, "the command is read")
        node.psql("SELECT pg_stat_reset_shared('archiver')")


def test_an_archiver_that_fails_or_only_pretends(scene: Scene) -> None:
    primary, _ = scene.nodes
    with archiving(primary, "/bin/date"):
        assert has(looked(scene), "WARNING: hca: archiver: archive_command = '/bin/date' archives")
    with archiving(primary, "false"):
        assert has(looked(scene), "WARNING: hca: archiver: archive_command = 'false' can archive")
        primary.psql("SELECT pg_logical_emit_message(false, 'test', 'x'); SELECT pg_switch_wal()")
        failed = "SELECT failed_count > 0 FROM pg_stat_archiver"
        processes.until(lambda: primary.psql(failed) == "t", "archiving has failed")
        found = looked(scene)
    assert has(found, "CRITICAL: hca: archiver: archiving 0000")


def test_disks_and_wal_are_held_against_the_settings(scene: Scene) -> None:
    limits(scene, disk_used=(0, 100), wal=(0, 0))
    found = looked(scene)
    assert has(found, "WARNING: hca: disk /")
    assert has(found, "WARNING: hcb: disk /")
    assert has(found, "CRITICAL: hca: WAL pressure: pg_wal has")


def test_wal_that_nobody_takes_away_is_held_against_the_settings(scene: Scene) -> None:
    primary, _ = scene.nodes
    limits(scene, archive_backlog=(0, 0))
    with archiving(primary, "sleep 10"):
        for _ in range(3):
            primary.psql("SELECT pg_logical_emit_message(false, 'x', 'x'); SELECT pg_switch_wal()")
        found = looked(scene)
    assert has(found, "CRITICAL: hca: archiver: ")
    processes.until(lambda: looked(scene) == [], "the archiver has taken all", within=60)


def test_a_transaction_that_nobody_ends_is_held_against_the_settings(scene: Scene) -> None:
    primary, _ = scene.nodes
    limits(scene, transaction_seconds=(0, 0.5))
    assert looked(scene) == []
    with psycopg.connect(primary.conninfo("shop")) as open_one:
        open_one.execute("SELECT 1")
        time.sleep(0.6)
        found = looked(scene)
    assert has(found, "CRITICAL: hca: oldest transaction: ")
    assert not has(found, "CRITICAL: hcb: ")


def test_the_age_of_what_was_replayed_is_held_against_the_settings(scene: Scene) -> None:
    primary, standby = scene.nodes
    limits(scene, lag_seconds=(0, 0.5))
    primary.psql("SELECT txid_current()")
    processes.until(lambda: looked(scene) == [], "a standby that has all of it is not behind")
    with split.replay_paused(standby):
        primary.psql("SELECT pg_logical_emit_message(false, 'test', repeat('x', 3000))")
        time.sleep(0.6)
        found = looked(scene)
    assert has(found, "CRITICAL: hcb: lag: ")
    processes.until(lambda: looked(scene) == [], "replay has caught up")


def test_a_database_that_was_made_with_another_library_is_a_warning(scene: Scene) -> None:
    primary, _ = scene.nodes
    primary.psql("CREATE DATABASE sorted TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de'")
    assert not has(looked(scene), "WARNING: hca: collation")
    primary.psql("UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'sorted'")
    found = looked(scene)
    primary.psql("DROP DATABASE sorted")
    assert has(found, "WARNING: hca: collation versions: sorted was made with 1.0, here is ")


def test_two_writable_nodes_are_a_split_brain(spoiled: Scene) -> None:
    split.promoted_by_hand(spoiled.nodes[1])
    found = looked(spoiled)
    name = spoiled.name
    assert has(found, f"CRITICAL: {name}: writable nodes: 2: hca, hcb")
    assert [line for line in found if "repmgr" in line]


def test_a_relation_that_cannot_be_read_is_found_on_demand(spoiled: Scene) -> None:
    _, standby = spoiled.nodes
    path = standby.psql("SELECT pg_relation_filepath('orders_by_customer')", database="shop")
    (standby.data_directory / path).unlink()
    assert looked(spoiled) == []
    found = looked(spoiled, read_all=True)
    assert has(found, "CRITICAL: hcb: every relation")
    assert not has(found, "CRITICAL: hca")


def test_metadata_that_know_a_node_which_is_none(scene: Scene) -> None:
    primary, _ = scene.nodes
    number = split.ghost(primary)
    found = looked(scene)
    primary.psql(f"DELETE FROM repmgr.nodes WHERE node_id = {number}", database="repmgr")
    assert has(found, f"WARNING: {scene.name}: repmgr metadata: repmgr knows ghost")
    assert has(found, "CRITICAL: hca: repmgr cluster show: does not reach ghost")
    assert has(found, "WARNING: hca: slot repmgr_slot_99: is missing")


def test_what_an_interrupted_run_has_left_is_told_with_the_run_that_goes_on(scene: Scene) -> None:
    primary, standby = scene.nodes
    left = {
        primary.directory / "main.stopped": "1 somebody\n",
        primary.data_directory / "pgsql_tmp_auto.conf": "",
        standby.directory / "main.rejoining": "somebody",
    }
    for path, text in left.items():
        path.write_text(text)
        path.chmod(0o644)
    found = looked(scene)
    for path in left:
        path.unlink()
    what = "left by an interrupted run"
    assert has(found, f"WARNING: hca: {what}: run somebody has stopped it for a restore")
    assert has(found, f"WARNING: hca: {what}: settings of a recovery are in force")
    half = f"the return of {standby.data_directory} as a standby has no end"
    assert has(found, f"WARNING: hcb: {what}: {half}")
    assert len(found) == 3
    assert looked(scene) == []


def test_backups_that_have_stopped_are_told_by_what_lies_in_the_store(scene: Scene) -> None:
    (record,) = scene.store.glob("*/backup.json")
    text = record.read_text()
    damaged = record.with_name("damaged.json")

    def aged(hours: float) -> None:
        finished = datetime.now(UTC) - timedelta(hours=hours)
        record.write_text(json.dumps({**json.loads(text), "finished": finished.isoformat()}))

    line = f"{scene.name}: base backup: "
    try:
        aged(35)
        assert looked(scene) == []
        aged(37)
        assert has(looked(scene), f"WARNING: {line}the newest sound one is 37 h")
        aged(73)
        assert has(looked(scene), f"CRITICAL: {line}the newest sound one is 3 d")
        scene.cluster_settings["objectives"] = {"rpo": "7d"}
        assert looked(scene) == []
        damaged.write_text("{}")
        assert has(looked(scene), f"CRITICAL: {line}there is no sound one")
        scene.cluster_settings["health_limits"] = {"backup_hours": "off"}
        assert looked(scene) == []
    finally:
        damaged.unlink(missing_ok=True)
        record.write_text(text)


def test_a_store_that_cannot_be_read_is_a_finding_of_its_own(scene: Scene) -> None:
    aside = scene.store.parent.with_name("elsewhere")
    scene.store.parent.rename(aside)
    try:
        scene.store.parent.write_text("no folder")
        found = looked(scene)
    finally:
        scene.store.parent.unlink()
        aside.rename(scene.store.parent)
    assert has(found, f"CRITICAL: {scene.name}: base backup: ")
