"""What goes wrong while a standby is set up, where it ends, and that a second start converges."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab import processes, split
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.lab.trouble import fill, small_disk, unreachable
from tests.laws import standby_scene
from tests.laws.outcome import Point
from tests.laws.standby_scene import ROLE, Scene, assert_follows

pytestmark = pytest.mark.lab
SLOW = {"backups": {"store": "store", "max_rate": "2M"}}


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return standby_scene.build(loopback_lab, "sta", "stb", tmp_path_factory.mktemp("troubled"))


@pytest.fixture
def pair(scene: Scene) -> Iterator[Scene]:
    """Both servers as they were installed."""
    scene.reset()
    yield scene
    scene.halt()


def until_copied_from(node: PostgresNode) -> None:
    sent = "SELECT count(*) FROM pg_stat_progress_basebackup WHERE backup_streamed > 1000000"
    processes.until(lambda: node.psql(sent) == "1", "a copy is on its way", within=60)


def assert_untouched(pair: Scene) -> None:
    """The copy is gone with all that made it, and the second server still serves its own data."""
    assert pair.stray() == []
    assert not pair.repl.exists()
    assert pair.aside() == []
    assert pair.standby.psql("SELECT count(*) FROM held_alone", database="own") == "7"


def finish(pair: Scene) -> None:
    pair.cluster = {}
    outcome = pair.run()
    assert outcome.completed, outcome.said
    assert_follows(pair)


def test_ssh_cut_during_the_copy(pair: Scene) -> None:
    pair.cluster = SLOW
    running = pair.start()
    until_copied_from(pair.primary)
    with unreachable(pair.standby.host):
        outcome = running.outcome()
        assert outcome.cut_off, outcome.said
        assert pair.stray() == []
    assert pair.primary.psql("SELECT count(*) FROM pg_replication_slots") == "0"
    assert pair.standby.psql("SELECT count(*) FROM held_alone", database="own") == "7"
    finish(pair)


def test_the_primary_restarted_during_the_copy_and_after_it(pair: Scene) -> None:
    pair.cluster = SLOW
    running = pair.start()
    until_copied_from(pair.primary)
    pair.primary.stop()
    outcome = running.outcome()
    assert outcome.cut_off or outcome.ended == "CommandFailed", outcome.said
    pair.primary.start()
    assert_untouched(pair)

    pair.cluster = {}
    assert pair.run(at=Point("7")).ended == "killed"
    pair.primary.stop("immediate")
    refused = pair.run()
    assert refused.ended == "Unreachable"
    assert refused.commands == []
    pair.primary.start()
    finish(pair)


def test_the_standbys_disk_fills_up_during_the_copy(pair: Scene) -> None:
    pair.standby.stop()
    with small_disk(pair.standby, free=300 << 20) as ballast:
        pair.standby.start()
        pair.cluster = SLOW
        running = pair.start()
        until_copied_from(pair.primary)
        fill(ballast, 4 << 20)
        outcome = running.outcome()
        assert outcome.ended == "CommandFailed", outcome.said
        assert "No space left" in outcome.said
        ballast.unlink()
        assert_untouched(pair)
        finish(pair)


def test_a_primary_that_lacks_settings_is_restarted_once(pair: Scene) -> None:
    pair.primary.psql("ALTER SYSTEM SET wal_level = 'minimal'")
    pair.primary.psql("ALTER SYSTEM SET max_wal_senders = 0")
    pair.primary.stop()
    pair.primary.start()
    planned = pair.run(dry_run=True)
    assert planned.plan is not None
    assert "RESTART" in planned.plan.markdown()
    for point in (Point("4", 2), Point("4", 3)):
        assert pair.run(at=point).ended == "killed"
    assert pair.primary.psql("SHOW max_wal_senders") == "0"
    killed = pair.run(at=Point("4"))
    assert len([line for line in killed.commands if "pg_ctl restart" in line]) == 1
    assert pair.primary.psql("SHOW wal_level") == "replica"
    outcome = pair.run()
    assert outcome.completed, outcome.said
    assert not [line for line in outcome.commands if "restart" in line]
    assert_follows(pair)


def test_a_slot_that_was_lost_leads_to_a_new_copy(pair: Scene) -> None:
    assert pair.run().completed
    pair.standby.stop()
    split.drop_slot(pair.primary, pair.slot)
    pair.primary.psql("SELECT pg_switch_wal()")
    killed = pair.run(at=Point("6"))
    assert killed.ended == "killed", killed.said
    outcome = pair.run()
    assert outcome.completed, outcome.said
    assert [line for line in outcome.commands if "pg_basebackup" in line]
    assert_follows(pair, asides=2)


def test_a_password_of_the_settings_and_a_role_that_works_are_left_alone(pair: Scene) -> None:
    pair.primary.psql(f"CREATE ROLE {ROLE} LOGIN REPLICATION PASSWORD 'a:b\\c'")
    stored = f"SELECT rolpassword, rolconnlimit FROM pg_authid WHERE rolname = '{ROLE}'"
    before = pair.primary.psql(stored)
    pair.cluster = {"replication_password": {"env": "THE_PASSWORD"}, "replication": {"user": ROLE}}
    pair.environment = {"THE_PASSWORD": "another"}
    wrong = pair.run(at=Point("5"))
    assert "does not accept the login" in wrong.said
    assert pair.aside() == []
    pair.environment = {"THE_PASSWORD": "a:b\\c"}
    outcome = pair.run()
    assert outcome.completed, outcome.said
    assert pair.primary.psql(stored) == before
    assert_follows(pair)


def test_synchronous_mode_hangs_while_the_standby_is_down_and_the_plan_says_so(pair: Scene) -> None:
    pair.primary.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
    pair.primary.reload()  # nobody streams: every commit hangs, also that of CREATE ROLE
    planned = pair.run(dry_run=True, synchronous=True)
    assert planned.plan is not None
    assert "EVERY COMMIT HANGS" in planned.plan.markdown()
    first = pair.run(synchronous=True)
    assert first.completed, first.said
    assert pair.run(synchronous=True).changed == 0
    state = "SELECT sync_state FROM pg_stat_replication"
    assert pair.primary.psql(state) == "sync"
    assert_follows(pair)

    pair.standby.stop()
    argv = ["psql", "-Xq", "-h", str(pair.primary.socket_directory), "-c", "CREATE TABLE hung ()"]
    with subprocess.Popen(["/usr/sbin/runuser", "-u", "postgres", "--", *argv], cwd="/") as commit:
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        processes.until(lambda: pair.primary.psql(waits) == "1", "the commit waits")
        outcome = pair.run()
        assert outcome.completed, outcome.said
        assert outcome.plan is not None
        assert """SWITCHED OFF on sta: it was 'FIRST 1 ("stb")'""" in outcome.plan.markdown()
        assert commit.wait(10) == 0
    assert pair.primary.psql("SHOW synchronous_standby_names") == ""
    assert pair.primary.psql(state) == "async"


@contextmanager
def another_standby(primary: PostgresNode, name: str) -> Iterator[None]:
    """Let pg_receivewal stream as a standby that commits can wait for."""
    rules, place = primary.data_directory / "pg_hba.conf", primary.directory / "received"
    rules.write_text(f"local replication all peer\n{rules.read_text()}")
    primary.reload()
    processes.run(["install", "-d", "-o", "postgres", place])
    way = f"host={primary.socket_directory} application_name={name}"
    argv = ["pg_receivewal", "--synchronous", "-D", str(place), "-d", way]
    with subprocess.Popen(["/usr/sbin/runuser", "-u", "postgres", "--", *argv], cwd="/") as other:
        try:
            yield
        finally:
            other.terminate()


def waiting_for(primary: PostgresNode, setting: str, *, kinds: str) -> None:
    """Let commits wait as a setting says, once the primary has read it."""
    primary.psql(f"ALTER SYSTEM SET synchronous_standby_names = '{setting}'")
    primary.reload()
    seen = "SELECT string_agg(sync_state, ' ' ORDER BY application_name) FROM pg_stat_replication"
    processes.until(lambda: primary.psql(seen) == kinds, "commits wait")


def test_a_setting_that_names_another_standby_is_never_touched(pair: Scene) -> None:
    setting = "SHOW synchronous_standby_names"
    with another_standby(pair.primary, "stc"):
        waiting_for(pair.primary, "FIRST 2 (stb, stc)", kinds="sync")
        refused = pair.run()
        assert refused.commands == []
        assert "commits on sta go on while stb is down" in refused.said
        assert "only stc streams besides stb" in refused.said
        for either in ("ANY 1 (stb, stc)", "*"):
            waiting_for(pair.primary, either, kinds="quorum" if "ANY" in either else "sync")
            refused = pair.run(synchronous=True)
            assert refused.commands == []
            assert "synchronous mode belongs to nobody else" in refused.said
        waiting_for(pair.primary, "ANY 1 (stb, stc)", kinds="quorum")
        outcome = pair.run()
        assert outcome.completed, outcome.said
        assert outcome.plan is not None
        assert "'ANY 1 (stb, stc)' on sta, and stays so" in outcome.plan.markdown()
        assert pair.primary.psql(setting) == "ANY 1 (stb, stc)"
        assert_follows(pair)
        waiting_for(pair.primary, "FIRST 2 (stb, stc)", kinds="sync sync")
        assert pair.run().changed == 0
        assert pair.primary.psql(setting) == "FIRST 2 (stb, stc)"


def test_a_data_directory_that_is_a_mount_point_stays_one(pair: Scene) -> None:
    pair.standby.stop()
    processes.run(["mount", "--bind", pair.live, pair.live])
    pair.standby.start()
    for point in (Point("7"), Point("9", 1), Point("9", 2)):
        killed = pair.run(at=point)
        assert killed.ended == "killed", killed.said
    outcome = pair.run()
    assert outcome.completed, outcome.said
    assert_follows(pair)
    processes.run(["mountpoint", "-q", pair.live])
    assert (pair.aside()[0] / "global/pg_control").exists()
    assert not list(pair.live.glob("pgsql_tmp_incoming*"))
    assert pair.run().changed == 0


def test_after_a_failover_the_old_primary_can_follow_the_new_one(pair: Scene) -> None:
    assert pair.run().completed
    pair.primary.stop("immediate")
    pair.standby.psql("SELECT pg_promote()")
    pair.standby.psql("CREATE TABLE written_after_promotion ()")
    refused = pair.run(standby="sta", replace=False)
    assert "may be set aside" in refused.said, refused.said
    outcome = pair.run(standby="sta")
    assert outcome.completed, outcome.said
    assert pair.primary.psql("SELECT pg_is_in_recovery()") == "t"
    assert pair.primary.psql("SELECT count(*) FROM written_after_promotion") == "0"
    assert pair.standby.psql("SELECT state FROM pg_stat_replication") == "streaming"
    assert len(list(pair.primary.directory.glob("main.aside-*"))) == 1
