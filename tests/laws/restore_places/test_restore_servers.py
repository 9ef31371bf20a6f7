"""Servers that crashed, that somebody revives, that keep their timeline, or that follow another."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab import processes
from tests.lab import shop as contents
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import BIN_DIRECTORY
from tests.laws.outcome import Point
from tests.laws.restore_scene import Scene, assert_restored

pytestmark = pytest.mark.lab


def test_a_crashed_server_with_a_stale_lock_file_is_restored(shop: Scene) -> None:
    sleeper = subprocess.Popen(["sleep", "600"], user="postgres")
    try:
        with shop.lab.trouble.killed(shop.node):
            lock = shop.live / "postmaster.pid"
            _, *rest = lock.read_text().splitlines()
            lock.write_text("\n".join([str(sleeper.pid), *rest, ""]))
            outcome = shop.restore()
            assert outcome.completed, outcome.said
            assert sleeper.poll() is None
        assert_restored(shop)
        assert not [line for line in outcome.commands if "pg_ctl stop" in line]
    finally:
        sleeper.kill()
        sleeper.wait()


@contextmanager
def supervisor(shop: Scene, pause: float) -> Iterator[None]:
    """Start the server again whenever it is down, as a supervisor does that nobody named."""
    start = f"{BIN_DIRECTORY}/pg_ctl -D {shop.live} -l {shop.node.directory}/log/loop.log -w start"
    script = f"while :; do {start} >/dev/null 2>&1; sleep {pause}; done"
    loop = subprocess.Popen(["sh", "-c", script], user="postgres", cwd="/")
    try:
        yield
    finally:
        loop.kill()
        loop.wait()


@pytest.mark.parametrize("pause", [0.1, 1.5])
def test_a_server_that_a_supervisor_revives_is_left_to_it(shop: Scene, pause: float) -> None:
    before = contents.fingerprint(shop.node)
    with supervisor(shop, pause):
        outcome = shop.restore()
        assert outcome.ended in ("CheckFailed", "GoalNotReached", "CommandFailed")
        assert "HINT:" in outcome.said
        processes.until(shop.node.is_running, "it is up again")
    assert shop.aside() == []
    assert contents.fingerprint(shop.node) == before
    again = shop.restore()
    assert again.completed, again.said
    assert_restored(shop)


def test_databases_that_were_made_with_another_library_are_named_and_fail_nothing(
    shop: Scene,
) -> None:
    shop.node.psql("CREATE DATABASE sorted TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de'")
    version = "SELECT datcollversion FROM pg_database WHERE datname = 'sorted'"
    actual = shop.node.psql(version)
    assert actual
    shop.back_up()
    well = shop.restore()
    assert well.completed, well.said
    assert "collation versions" not in well.told
    shop.node.psql("UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'sorted'")
    shop.back_up()
    outcome = shop.restore()
    assert outcome.completed, outcome.said
    told = f"WARNING: collation versions differ: sorted was made with 1.0, here is {actual}."
    assert told in outcome.told
    assert "REINDEX DATABASE" in outcome.told
    assert shop.node.psql(version) == "1.0"
    assert shop.restore().changed == 0


def test_kept_on_the_old_timeline_it_archives_nothing(shop: Scene) -> None:
    outcome = shop.restore(timeline="keep")
    assert outcome.completed, outcome.said
    assert_restored(shop)
    assert shop.node.psql("CHECKPOINT; SELECT timeline_id FROM pg_control_checkpoint()") == "1"
    assert shop.node.psql("SHOW archive_mode") == "off"
    assert outcome.plan is not None
    assert "WAL archiving" in outcome.plan.markdown()
    assert shop.restore(timeline="keep").changed == 0


def archiving(shop: Scene) -> Path:
    """Let the server archive its WAL, over what is there already, and back that up."""
    archive = shop.node.directory / "archive"
    archive.mkdir()
    shutil.chown(archive, "postgres", "postgres")
    shop.node.psql("ALTER SYSTEM SET archive_mode = on")
    shop.node.psql(f"ALTER SYSTEM SET archive_command = 'cp %p {archive}/%f'")
    shop.node.stop()
    shop.node.start()
    shop.back_up()
    return archive


def lose_the_data(shop: Scene) -> None:
    """Leave the node as a new machine is."""
    shop.node.stop("immediate")
    shutil.rmtree(shop.live)
    shutil.rmtree(next(shop.node.tablespaces["cold"].glob("PG_*")))


def test_on_a_machine_without_the_data_the_old_archive_is_left_alone(shop: Scene) -> None:
    """Nobody knows there which timelines the archive has: the second of its number is another."""
    archive = archiving(shop)
    switch = "SELECT pg_switch_wal(), pg_sleep(2)"
    first = shop.restore()
    assert first.completed, first.said
    assert first.plan is not None
    assert "WAL archiving" not in first.plan.markdown()
    shop.node.psql(switch)
    assert (archive / "00000002.history").exists()
    lose_the_data(shop)
    before = {path.name: path.read_bytes() for path in archive.iterdir()}
    assert shop.restore(at=Point("6", 1)).ended == "killed"
    for again in (False, True):
        outcome = shop.restore(again=again)
        assert outcome.completed, outcome.said
        assert outcome.plan is not None
        assert "OFF after the restore" in outcome.plan.markdown()
        assert "ALTER SYSTEM RESET archive_mode" in outcome.told
        shop.node.psql(f"CREATE TABLE more (); {switch}")
        assert shop.node.psql("SHOW archive_mode") == "off"
    assert {path.name: path.read_bytes() for path in archive.iterdir()} == before
    assert shop.restore().changed == 0


def test_a_backup_that_was_taken_while_nothing_was_archived_is_told(shop: Scene) -> None:
    archiving(shop)
    shop.node.psql("ALTER SYSTEM SET archive_command = '/bin/false'")
    shop.node.reload()
    shop.back_up()
    shop.node.psql("ALTER SYSTEM RESET archive_command")
    shop.node.reload()
    outcome = shop.restore()
    assert outcome.completed, outcome.said
    assert shop.node.psql("SHOW archive_command") == "/bin/false"
    assert outcome.plan is not None
    for told in (outcome.plan.markdown(), outcome.told):
        assert "NOTHING IS ARCHIVED after the restore" in told
        assert "archive_command = '/bin/false'" in told
        assert "ALTER SYSTEM RESET archive_command" in told
    assert shop.restore().changed == 0


def test_a_backup_that_was_taken_with_an_archive_library_is_archived(shop: Scene) -> None:
    archive = archiving(shop)
    library = "archive_command = ''\narchive_library = 'basic_archive'\n"
    with (shop.live / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"{library}basic_archive.archive_directory = '{archive}'\n")
    shop.node.reload()
    shop.back_up()
    outcome = shop.restore()
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    assert "NOTHING IS ARCHIVED" not in outcome.plan.markdown() + outcome.told
    shop.node.psql("SELECT pg_switch_wal(), pg_sleep(2)")
    assert (archive / "00000002.history").exists()


def test_archiving_that_the_command_line_switches_on_leaves_the_old_archive_alone(
    shop: Scene,
) -> None:
    archive = archiving(shop)
    before = {path.name: path.read_bytes() for path in archive.iterdir()}
    lose_the_data(shop)
    log = f"{shop.node.directory}/log/start.log"
    on = {"kind": "pg_ctl", "log_file": log, "options": "-c archive_mode=on"}
    shop.settings |= {"service": on}
    outcome = shop.restore()
    assert outcome.completed, outcome.said
    assert shop.node.psql("SHOW archive_mode") == "on"
    shop.node.psql("SELECT pg_switch_wal(), pg_sleep(2)")
    assert {path.name: path.read_bytes() for path in archive.iterdir()} == before
    assert "WARNING: archive_mode is on from the command line" in outcome.told
    assert shop.restore().changed == 0
    lose_the_data(shop)
    shop.settings |= {"service": on | {"options": "-c archive_mode=on -c archive_command=true"}}
    stopped = shop.restore()
    assert stopped.ended == "CheckFailed"
    assert "archive_command = 'true'" in stopped.said
    assert "out of the server's command line" in stopped.said
    shop.settings.clear()
    shop.node.stop()
    again = shop.restore()
    assert again.completed, again.said


def page_backup(shop: Scene, *options: str) -> str:
    """Take a backup by hand as the page says, under the name of a backup, and adopt it."""
    made = "backup_20260101020000"
    target = shop.node.directory / made
    shop.node.tool(
        "pg_basebackup", "-F", "tar", "-z", *options, "-c", "fast", "-D", target, timeout=120
    )
    shutil.copytree(target, shop.store / made)
    shutil.rmtree(target)
    adopted = shop.run("adopt", backup=made)
    assert adopted.completed, adopted.said
    return made


@pytest.mark.parametrize("wal", ["fetch", "stream"])
def test_a_backup_made_by_hand_is_restored(shop: Scene, wal: str) -> None:
    taken = contents.fingerprint(shop.node)
    made = page_backup(shop, "-X", wal)
    shop.damage()
    outcome = shop.restore(backup=made)
    assert outcome.completed, outcome.said
    assert contents.fingerprint(shop.node) == taken


@pytest.mark.parametrize("timeline", ["fork", "keep"])
def test_a_backup_of_a_standby_is_restored_as_a_primary(
    loopback_lab: LoopbackLab, tmp_path: Path, timeline: str
) -> None:
    pair = loopback_lab.repmgr_cluster(f"{timeline}1", f"{timeline}2", rows=500)
    first, standby = pair.primary, pair.standbys[0]
    scene = Scene(loopback_lab, first, tmp_path)
    scene.fingerprint = contents.fingerprint(first)
    scene.backup = "backup_20260101020000"
    target = standby.directory / scene.backup
    standby.tool("pg_basebackup", "-F", "tar", "-z", "-X", "fetch", "-c", "fast", "-D", target)
    shutil.copytree(target, scene.store / scene.backup)
    adopted = scene.run("adopt", backup=scene.backup)
    assert adopted.completed, adopted.said
    scene.damage()
    standby.stop()
    outcome = scene.restore(timeline=timeline)
    assert outcome.completed, outcome.said
    assert contents.fingerprint(first) == scene.fingerprint
    assert first.psql("SELECT pg_is_in_recovery()") == "f"
    assert not (first.data_directory / "standby.signal").exists()
    first.stop()


def test_a_standby_is_not_restored(loopback_lab: LoopbackLab, tmp_path: Path) -> None:
    pair = loopback_lab.repmgr_cluster("role1", "role2", rows=100)
    scene = Scene(loopback_lab, pair.standbys[0], tmp_path)
    taken = Scene(loopback_lab, pair.primary, tmp_path)
    taken.back_up()
    (tmp_path / "store" / taken.name).rename(tmp_path / "store" / scene.name)
    refused: Any = scene.restore(backup=taken.backup, other_system=True)
    assert refused.ended == "CheckFailed"
    assert "is not a standby" in refused.said
