"""Data directories on mounts, behind links, closed in, or empty; tablespaces."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.lab import processes
from tests.lab import shop as contents
from tests.lab.addresses import mounts_under
from tests.laws.outcome import Point
from tests.laws.restore_scene import Scene, assert_restored, move_into

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_a_mount_point_keeps_its_directory(shop: Scene, kind: str) -> None:
    before = contents.fingerprint(shop.node)
    move_into(shop, shop.node.directory / kind)
    for point in (Point("6", 2), Point("6", 3)):
        assert shop.restore(at=point).ended == "killed"
    outcome = shop.restore()
    assert outcome.completed, outcome.said
    assert shop.live in mounts_under(shop.node.directory)
    assert_restored(shop)
    target = shop.node.directory / "taken"
    shop.node.tool("pg_basebackup", "-D", target, "-F", "tar", "-c", "fast")
    assert "pgsql_tmp" not in (target / "backup_manifest").read_text()
    assert shop.restore().changed == 0
    assert shop.run("instance-restore-undo", at=Point("5", 2)).ended == "killed"
    undone = shop.run("instance-restore-undo")
    assert undone.completed, undone.said
    assert contents.fingerprint(shop.node) == before


def test_a_closed_parent_directory_stays_closed(shop: Scene) -> None:
    shutil.chown(shop.node.directory, "root", "root")
    outcome = shop.restore()
    assert outcome.completed, outcome.said
    assert_restored(shop)
    assert not list(shop.node.directory.glob("main.*"))


def test_wal_behind_a_link_stays_where_it_was(shop: Scene) -> None:
    before = contents.fingerprint(shop.node)
    wal = shop.node.directory / "fast-disk" / "wal"
    shop.node.stop()
    wal.parent.mkdir()
    (shop.live / "pg_wal").rename(wal)
    (shop.live / "pg_wal").symlink_to(wal)
    shutil.chown(wal.parent, "postgres", "postgres")
    processes.run(["chown", "-h", "postgres:postgres", shop.live / "pg_wal"])
    shop.node.start()
    for point in (Point("6", 3), Point("6", 4)):  # before the WAL is swapped, and after it
        killed = shop.restore(at=point)
        assert killed.ended == "killed", killed.said
    outcome = shop.restore()
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    assert f"a link to {wal}" in outcome.plan.markdown()
    assert_restored(shop)
    assert (shop.live / "pg_wal").readlink() == wal
    assert list(wal.glob("00000002*"))
    undone = shop.run("instance-restore-undo")
    assert undone.completed, undone.said
    assert contents.fingerprint(shop.node) == before
    assert (shop.live / "pg_wal").readlink() == wal
    stamp = next(wal.parent.glob("wal.undone-*")).name.rpartition("-")[2]
    assert shop.run("discard-aside", stamp=stamp).completed
    assert sorted(path.name for path in wal.parent.iterdir()) == ["wal"]


def test_a_data_directory_behind_a_link_stays_there(shop: Scene) -> None:
    shop.node.stop()
    disk = shop.node.directory / "disk"
    disk.mkdir()
    shop.live.rename(disk / "data")
    (disk / "host.conf").symlink_to(shop.node.directory / "host.conf")
    shop.live.symlink_to(disk / "data")
    processes.run(["chown", "-R", "-h", "postgres:postgres", disk, shop.live])
    shop.node.start()
    outcome = shop.restore()
    assert outcome.completed, outcome.said
    assert shop.live.readlink() == disk / "data"
    assert contents.fingerprint(shop.node) == shop.fingerprint
    assert list(disk.glob("data.aside-*"))


@pytest.mark.parametrize("state", ["empty", "missing"])
def test_without_any_data_there_is_nothing_to_set_aside(shop: Scene, state: str) -> None:
    shop.node.stop()
    shutil.rmtree(shop.live)
    shutil.rmtree(next(shop.node.tablespaces["cold"].iterdir()))
    if state == "empty":
        shop.live.mkdir(mode=0o700)
        shutil.chown(shop.live, "postgres", "postgres")
    outcome = shop.restore()
    assert outcome.completed, outcome.said
    assert_restored(shop, asides=0)
    nothing = shop.run("instance-restore-undo")
    assert nothing.ended == "CheckFailed"
    assert "nothing that was set aside" in nothing.said


def test_tablespaces_go_where_the_map_says(shop: Scene) -> None:
    before = contents.fingerprint(shop.node)
    new = shop.node.directory / "tablespaces" / "new"
    new.mkdir(mode=0o700)
    shutil.chown(new, "postgres", "postgres")
    mapping = f"{shop.node.tablespaces['cold']}={new}"
    assert shop.restore(tablespace_map=mapping, at=Point("6")).ended == "killed"
    outcome = shop.restore(tablespace_map=mapping)
    assert outcome.completed, outcome.said
    assert_restored(shop)
    where = "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'cold'"
    assert shop.node.psql(where) == str(new)
    undone = shop.run("instance-restore-undo")
    assert undone.completed, undone.said
    assert contents.fingerprint(shop.node) == before


def drop_tablespace(shop: Scene) -> Path:
    """Move what is in the cold tablespace elsewhere and drop it; give its directory."""
    for kind in ("TABLE", "INDEX"):
        moved = f"ALTER {kind} ALL IN TABLESPACE cold SET TABLESPACE pg_default"
        shop.node.psql(moved, database="shop")
    shop.node.psql("DROP TABLESPACE cold")
    return shop.node.tablespaces["cold"]


def test_undo_takes_a_tablespace_out_again_that_only_the_restore_has_brought(shop: Scene) -> None:
    cold = drop_tablespace(shop)
    before = contents.fingerprint(shop.node)
    for way in ({}, {"at": Point("6", 3)}, {}):
        assert shop.restore(**way).ended in ("completed", "killed")
        assert shop.run("instance-restore-undo", at=Point("5", 1)).ended == "killed"
        undone = shop.run("instance-restore-undo")
        assert undone.completed, undone.said
        assert contents.fingerprint(shop.node) == before
        assert not list(cold.glob("PG_*"))
    for path in shop.node.directory.glob("main.undone-*"):
        assert shop.run("discard-aside", stamp=path.name.rpartition("-")[2]).completed
    assert not list(cold.iterdir())


def test_undo_of_an_older_restore_takes_out_a_tablespace_that_a_later_one_has_brought(
    shop: Scene,
) -> None:
    with_cold = shop.backup
    cold = drop_tablespace(shop)
    before = contents.fingerprint(shop.node)
    shop.back_up()
    assert shop.restore().completed
    [older] = shop.aside()
    assert shop.restore(backup=with_cold).completed
    assert list(cold.glob("PG_*"))
    stamp = older.name.rpartition("-")[2]
    assert shop.run("instance-restore-undo", stamp=stamp, at=Point("5", 1)).ended == "killed"
    undone = shop.run("instance-restore-undo", stamp=stamp)
    assert undone.completed, undone.said
    assert contents.fingerprint(shop.node) == before
    assert not list(cold.glob("PG_*"))
    again = shop.restore(backup=with_cold)
    assert again.completed, again.said


def test_undo_leaves_a_younger_tablespace_alone(shop: Scene) -> None:
    young = shop.node.directory / "tablespaces" / "young"
    young.mkdir(mode=0o700)
    shutil.chown(young, "postgres", "postgres")
    shop.node.psql(f"CREATE TABLESPACE young LOCATION '{young}'")
    shop.node.psql("CREATE TABLE y TABLESPACE young AS SELECT 1 AS x", database="shop")
    assert shop.restore().completed
    undone = shop.run("instance-restore-undo")
    assert undone.completed, undone.said
    assert shop.node.psql("SELECT x FROM y", database="shop") == "1"
