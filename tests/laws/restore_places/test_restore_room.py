"""Disks without room for a second copy, or that fill up while a restore runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.lab import processes
from tests.lab import shop as contents
from tests.laws.outcome import Point
from tests.laws.restore_scene import Scene, assert_restored, move_into

pytestmark = pytest.mark.lab

_LOOKS_AGAIN = 6.0


def fill(mount: Path, free: int = 30 << 20) -> Path:
    """Leave so many bytes on a file system; what fills it is never the restore's to touch."""
    ballast = mount / "lost+found" / "ballast"
    ballast.parent.mkdir(mode=0o700)
    shutil.chown(ballast.parent, "postgres", "postgres")
    space = os.statvfs(mount)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - free)
    return ballast


def test_a_tablespace_may_fill_a_disk_where_no_server_lives(shop: Scene) -> None:
    new = shop.node.directory / "tablespaces" / "new"
    new.mkdir(mode=0o700)
    processes.run(["mount", "-t", "tmpfs", "-o", "size=400m,mode=0700", "lab", new])
    shutil.chown(new, "postgres", "postgres")
    fill(new, free=8 << 20)
    mapping = f"{shop.node.tablespaces['cold']}={new}"
    dry = shop.restore(tablespace_map=mapping, dry_run=True)
    assert dry.plan is not None, dry.said
    assert f" on {new}" not in dry.plan.markdown().partition("kept free for the server")[2]


def test_where_there_is_no_room_the_old_data_goes_first(shop: Scene) -> None:
    move_into(shop, shop.node.directory / "tmpfs")
    fill(shop.live)
    before = contents.fingerprint(shop.node)
    refused = shop.restore()
    assert refused.ended == "Refused"
    assert "remove_old=true" in refused.said
    assert contents.fingerprint(shop.node) == before
    dry = shop.restore(remove_old=True, dry_run=True)
    assert dry.plan is not None
    assert "REMOVED for good" in dry.plan.markdown()
    for point in (Point("2"), Point("6", 2), Point("6", 3), Point("6", transfer=True)):
        killed = shop.restore(remove_old=True, at=point)
        assert killed.ended == "killed"
        undo = shop.run("instance-restore-undo")
        assert undo.ended == "CheckFailed"
        assert ("has set nothing aside: the old data" in undo.said) is (point != Point("2"))
        assert (f"with backup={shop.backup} and the same" in undo.said) is (point != Point("2"))
    outcome = shop.restore(remove_old=True)
    assert outcome.completed, outcome.said
    assert_restored(shop, asides=0)
    assert shop.restore().changed == 0


def test_a_server_that_needs_the_room_gets_it_back_from_the_copy(shop: Scene) -> None:
    """And for a server that is stopped by hand nothing is kept free."""
    move_into(shop, shop.node.directory / "tmpfs")
    assert shop.restore(at=Point("2")).ended == "killed"
    ballast = fill(shop.live, free=8 << 20)
    full = shop.restore(dry_run=True)
    assert full.plan is not None
    assert "ALL THAT THE SERVER HAS until the outage" in full.plan.markdown()
    ballast.unlink()
    ballast.parent.rmdir()
    asked = shop.restore(answer="refuse")
    assert asked.plan is not None
    assert "; nobody watches it while this waits" in asked.plan.markdown()
    assert "ALL THAT THE SERVER HAS" not in asked.plan.markdown()
    wanted = {"cluster": shop.name, "backup": shop.backup}
    halt = Point("2", transfer=True, signal=signal.SIGSTOP)
    running = shop.runner.start("instance-restore", at=halt, **wanted)
    running.halted()
    ballast = fill(shop.live, free=8 << 20)
    time.sleep(_LOOKS_AGAIN)
    running.send(signal.SIGCONT)
    outcome = running.outcome()
    assert outcome.ended == "CheckFailed", outcome.said
    assert "needs the room" in outcome.said
    shop.node.psql("CREATE TABLE goes_on AS SELECT generate_series(1, 10000)", database="shop")
    assert shop.leftovers() == []
    assert shop.stray() == []
    ballast.unlink()
    ballast.parent.rmdir()
    fill(shop.live, free=needed(shop) * 11 // 10 + (8 << 20))
    refused = shop.restore()
    assert refused.ended == "Refused", refused.said
    assert "stop the server by hand" in refused.said
    hba = shop.live / "pg_hba.conf"
    rules = hba.read_text()
    hba.write_text("local all all reject\nhost all all all reject\n")
    shop.node.tool("pg_ctl", "-D", shop.live, "reload")
    silent = shop.restore()
    assert "stop the server by hand" in silent.said, silent.said
    hba.write_text(rules)
    shop.node.stop()
    assert shop.restore().completed
    assert_restored(shop)


def needed(shop: Scene) -> int:
    """Give the bytes that a copy of the backup takes, with the WAL that it starts with."""
    manifest = json.loads((shop.store / shop.backup / "backup_manifest").read_text())
    return sum(file["Size"] for file in manifest["Files"]) + (64 << 20)


def test_what_another_backup_has_half_removed_is_not_taken_for_the_restore_before(
    shop: Scene,
) -> None:
    """Its tablespace is gone; the data directory still bears the mark of the first restore."""
    first = shop.backup
    assert shop.restore().completed
    other = shop.back_up()
    move_into(shop, shop.node.directory / "tmpfs")
    ballast = fill(shop.live)
    assert shop.restore(remove_old=True, at=Point("6", 3)).ended == "killed"
    refused = shop.restore(backup=first)
    assert refused.ended == "CheckFailed"
    assert f"backup={other}" in refused.said
    assert "again=true" in refused.said
    assert refused.commands == []
    ballast.unlink()
    outcome = shop.restore(backup=first, again=True)
    assert outcome.completed, outcome.said
    assert contents.fingerprint(shop.node) == shop.fingerprint


def test_the_names_of_timelines_outlive_a_removal_that_was_killed(shop: Scene) -> None:
    """They lie with what was made ready alone, which a cancelled run and another backup remove."""
    first = shop.backup
    shop.back_up()
    assert shop.restore(backup=first).completed
    move_into(shop, shop.node.directory / "tmpfs")
    ballast = fill(shop.live)
    killed = Point("6", transfer=True)
    wish = {"backup": first, "again": True}
    assert shop.restore(**wish, remove_old=True, at=killed).ended == "killed"
    ballast.unlink()
    cancelled = Point("2", transfer=True, signal=signal.SIGINT)
    assert shop.restore(**wish, at=cancelled).ended == "KeyboardInterrupt"
    assert shop.stray() == []
    outcome = shop.restore()
    assert outcome.completed, outcome.said
    assert_restored(shop)
    assert shop.node.psql("CHECKPOINT; SELECT timeline_id FROM pg_control_checkpoint()") == "3"


def test_a_damaged_backup_is_found_in_the_store_before_the_old_data_is_removed(
    shop: Scene,
) -> None:
    move_into(shop, shop.node.directory / "tmpfs")
    fill(shop.live)
    path = shop.store / shop.backup / "base.tar.zst"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    before = contents.fingerprint(shop.node)
    outcome = shop.restore(remove_old=True)
    assert outcome.ended == "Damaged"
    assert shop.node.is_running()
    assert contents.fingerprint(shop.node) == before


def backed_up_while_rows_are_written(shop: Scene) -> str:
    """Take a backup whose replay makes the data grow by 24 MB; give what the shop held at its end.

    A tmpfs lists what is newest first: the backup has the empty file of the table, and the rows
    are in the WAL alone.
    """
    shop.node.psql("CREATE DATABASE young")
    shop.node.psql("CREATE TABLE grown (filler text)", database="young")
    file = shop.node.psql("SELECT pg_relation_filepath('grown')", database="young")
    shop.cluster["backups"] = {"store": "store", "max_rate": "4M"}
    running = shop.runner.start("base-backup", cluster=shop.name)
    read = "SELECT count(*) FROM pg_stat_progress_basebackup WHERE backup_streamed > 20000000"
    processes.until(lambda: shop.node.psql(read) == "1", "20 MB are read", within=60)
    rows = "SELECT repeat(md5(n::text), 30) FROM generate_series(1, 24000) n"
    shop.node.psql(f"INSERT INTO grown {rows}", database="young")
    outcome = running.outcome()
    assert outcome.completed, outcome.said
    shop.backup = max(path.name for path in shop.store.iterdir() if path.is_dir())
    manifest = json.loads((shop.store / shop.backup / "backup_manifest").read_text())
    (found,) = [entry for entry in manifest["Files"] if entry.get("Path") == file]
    assert found["Size"] == 0
    return contents.fingerprint(shop.node)


FULL = [
    ("in the replay", "could not extend file", "room"),
    ("in the replay", "could not extend file", "undo"),
    ("at its end", "No space left on device", "room"),
]


@pytest.mark.parametrize(("moment", "words", "way_on"), FULL)
def test_a_disk_that_is_full_when_the_server_starts_is_told_and_the_run_goes_on_or_is_undone(
    shop: Scene, moment: str, words: str, way_on: str
) -> None:
    if way_on == "undo":
        shop.settings["service"] = without_collector(shop)
    move_into(shop, shop.node.directory / "tmpfs")
    if moment == "in the replay":
        shop.fingerprint = backed_up_while_rows_are_written(shop)
    before = shop.damage()
    assert shop.restore(at=Point("6")).ended == "killed"
    ballast = fill(shop.live, free=6 << 20)
    old = files_of(shop.aside())
    for _ in range(2):
        failed = shop.restore()
        assert failed.ended == "CommandFailed"
        assert "FATAL:  " in failed.said
        assert words in failed.said
        assert f"HINT:   Make room on place: {shop.live} (" in failed.said
        assert not shop.node.is_running()
        assert files_of(shop.aside()) == old
    ballast.unlink()
    if way_on == "undo":
        undone = shop.run("instance-restore-undo")
        assert undone.completed, undone.said
        assert contents.fingerprint(shop.node) == before
        return
    outcome = shop.restore()
    assert outcome.completed, outcome.said
    assert_restored(shop)
    if moment == "in the replay":
        assert shop.node.psql("SELECT count(*) FROM grown", database="young") == "24000"


def without_collector(shop: Scene) -> dict[str, str]:
    """Let the server write its log where pg_ctl lets it."""
    log = f"{shop.node.directory}/log/start.log"
    return {"kind": "pg_ctl", "log_file": log, "options": "-c logging_collector=off"}


def files_of(directories: list[Path]) -> dict[Path, tuple[int, int]]:
    """Give size and time of every file in some directories."""
    found = [path for each in directories for path in each.rglob("*") if path.is_file()]
    assert found
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in found}
