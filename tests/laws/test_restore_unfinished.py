"""What killed restores leave: a server that came up, other backups, directories half removed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.lab import processes, shop
from tests.lab.errors import LabError
from tests.lab.loopback import LoopbackLab
from tests.laws import restore_scene
from tests.laws.outcome import Point
from tests.laws.restore_scene import Scene, assert_restored

pytestmark = pytest.mark.lab

BEFORE_THE_DATA = Point("6", 3)
"""The tablespace is the restored one, the data directory is not yet."""

BEFORE_THE_START = Point("7", 1)


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return restore_scene.build(loopback_lab, "unfin", tmp_path_factory.mktemp("unfin"))


@pytest.fixture
def damaged(scene: Scene) -> Iterator[Scene]:
    """The instance as it was after the damage."""
    scene.reset()
    backup, fingerprint = scene.backup, scene.fingerprint
    yield scene
    scene.node.stop("immediate")
    scene.backup, scene.fingerprint = backup, fingerprint


@pytest.mark.parametrize("timeline", ["fork", "keep"])
def test_a_backup_of_an_unfinished_restore_can_be_restored(damaged: Scene, timeline: str) -> None:
    """PostgreSQL takes the settings of the recovery along, and not those from before."""
    own = damaged.node.data_directory / "postgresql.auto.conf"
    settings = own.read_text()
    assert damaged.restore(at=BEFORE_THE_START).ended == "killed"
    damaged.node.start()
    processes.until(lambda: _writes(damaged), "the recovery has come to its end", within=60)
    damaged.node.psql("ALTER SYSTEM SET work_mem = '5MB'")
    damaged.back_up()
    assert damaged.restore(backup=damaged.backup, timeline=timeline).completed
    assert_restored(damaged, asides=2)
    assert "work_mem = '5MB'" in own.read_text()
    for name in ("restore_command", "recovery_target", "recovery_end", "hot_standby"):
        assert (name in own.read_text()) == (name in settings)
    assert damaged.restore(timeline=timeline).changed == 0


def _writes(scene: Scene) -> bool:
    try:
        return scene.node.psql("SELECT pg_is_in_recovery()") == "f"
    except LabError:  # no connections before its end
        return False


def test_an_interrupted_drop_of_a_database_holds_up_no_restore_and_no_undo(damaged: Scene) -> None:
    damaged.node.psql("CREATE DATABASE lost")
    damaged.node.psql("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'lost'")
    damaged.back_up()
    outcome = damaged.restore(backup=damaged.backup)
    assert outcome.completed, outcome.said
    left = "left invalid by an interrupted DROP DATABASE: lost"
    assert left in outcome.told
    assert_restored(damaged)
    assert damaged.run("instance-restore-undo").completed
    seen = damaged.run("health-check", read_all=True)
    assert left in seen.told


@pytest.mark.parametrize("way_on", ["restore", "undo"])
def test_half_in_place_no_server_starts_on_the_restored_tablespace(
    damaged: Scene, way_on: str
) -> None:
    """Nothing holds the service, so that the next boot would start it."""
    before = shop.fingerprint(damaged.node)
    assert damaged.restore(at=BEFORE_THE_DATA).ended == "killed"
    with pytest.raises(LabError):
        damaged.node.start()
    if way_on == "undo":
        undone = damaged.run("instance-restore-undo")
        assert undone.completed, undone.said
        assert shop.fingerprint(damaged.node) == before
        (taken_out,) = damaged.live.parent.glob("main.undone-*")
        stamp = taken_out.name.rpartition("-")[2]
        assert damaged.run("discard-aside", stamp=stamp).completed
        assert list(damaged.node.tablespaces["cold"].glob("pgsql_tmp_*")) == []
    outcome = damaged.restore()
    assert outcome.completed, outcome.said
    assert_restored(damaged)
    assert damaged.run("instance-restore-undo").completed
    assert shop.fingerprint(damaged.node) == before


def test_an_undo_gives_its_tablespaces_back_to_a_restore_that_was_never_started(
    damaged: Scene,
) -> None:
    """Its links come only with its first start; the backup over it is half in place."""
    first, written = damaged.backup, damaged.fingerprint
    second = damaged.back_up()
    assert damaged.restore(backup=first, at=BEFORE_THE_START).ended == "killed"
    assert damaged.restore(backup=second, at=BEFORE_THE_DATA).ended == "killed"
    undone = damaged.run("instance-restore-undo")
    assert undone.completed, undone.said
    assert shop.fingerprint(damaged.node) == written


@pytest.mark.parametrize("way_on", ["restore", "undo"])
def test_a_data_directory_that_is_made_anew_half_way_is_named(damaged: Scene, way_on: str) -> None:
    """What starts the server in a container makes one where it finds none."""
    before = shop.fingerprint(damaged.node)
    assert damaged.restore(at=BEFORE_THE_DATA).ended == "killed"
    damaged.node.tool("initdb", "-D", str(damaged.live), "-U", "postgres", "-A", "trust")
    (aside,) = damaged.aside()
    kept = damaged.run("discard-aside", stamp=aside.name.rpartition("-")[2])
    assert f"the restore of {damaged.backup}, which set it aside, is half in place" in kept.said
    undo = partial(damaged.run, "instance-restore-undo")
    go_on = undo if way_on == "undo" else damaged.restore
    refused = go_on()
    assert f"{damaged.live} was made anew while its data stood aside" in refused.said
    assert "move it away" in refused.said
    if way_on == "restore":
        assert "made anew" in damaged.restore(other_system=True).said
    damaged.live.rename(damaged.live.with_name("made anew"))
    outcome = go_on()
    assert outcome.completed, outcome.said
    if way_on == "restore":
        assert_restored(damaged)
    else:
        assert shop.fingerprint(damaged.node) == before
