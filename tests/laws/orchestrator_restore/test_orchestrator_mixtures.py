"""Restores in the way of each other, and of people: nothing is dropped, and nothing is mixed."""

from __future__ import annotations

import shutil

import pytest

from tests.lab import orchestrator
from tests.laws.orchestrator_restore.judged import BEFORE, SAID, recorded
from tests.laws.orchestrator_restore_scene import Moving
from tests.laws.outcome import Point

pytestmark = pytest.mark.lab

THEIRS = "UPDATE nodes SET name = 'theirs' WHERE name = 'node-1'"
COUNT_THEIRS = "SELECT count(*) FROM nodes WHERE name = 'theirs'"
MORE = "INSERT INTO nodes (id, name) VALUES (gen_random_uuid(), 'more')"
"""What people do, of which the number of rows tells nothing."""


def test_what_people_did_with_a_killed_restore_is_set_aside_and_never_dropped(
    scene: Moving, backups: dict[str, str]
) -> None:
    """A run was killed with the backup loaded and not proven; then people helped themselves.

    The first time as many rows are there as in the backup, the second time fewer.
    """
    chosen = backups["automated"]
    assert scene.restore(backup=chosen, at=Point("8", action=4)).ended == "killed"
    scene.node.psql(THEIRS, database="orchestrator")
    assert scene.restore(backup=chosen, at=Point("9", action=1)).ended == "killed"
    used = f"{BEFORE}{chosen}_2"
    assert scene.node.psql(COUNT_THEIRS, database=used) == "1"
    scene.node.psql("DELETE FROM nodes WHERE name = 'node-1'", database="orchestrator")
    outcome = scene.restore(backup=chosen)
    assert outcome.completed, outcome.said
    assert orchestrator.fingerprint(scene.node) == scene.kept
    third = f"{BEFORE}{chosen}_3"
    assert scene.node.psql("SELECT count(*) FROM nodes", database=third) == "199"
    for name, mark in ((used, "loading"), (third, "whole")):
        assert f"{name} (backup {chosen}, {mark})" in outcome.told
    assert f"{BEFORE}{chosen} (without a mark)" in outcome.told
    assert not any("DROP DATABASE" in line for line in outcome.commands)


def test_another_backup_takes_the_place_of_one_that_was_loaded_and_that_one_comes_back(
    scene: Moving, backups: dict[str, str]
) -> None:
    """The first is loaded; the second takes its copies away, or all; then the first again."""
    first, second = backups["automated"], backups["custom"]
    assert scene.restore(backup=first, at=Point("10", action=1)).ended == "killed"
    assert scene.restore(backup=second, at=Point("4")).ended == "killed"
    assert scene.restore(backup=first, at=Point("11")).ended == "killed"
    assert scene.databases() == ["orchestrator", "orchestrator_archive", f"{BEFORE}{first}"]
    scene.node.psql(f"{THEIRS}; {MORE}", database="orchestrator")
    outcome = scene.restore(backup=second)
    assert outcome.completed, outcome.said
    assert any(f"by the mark: backup {first}, loaded" in str(each) for each in outcome.record)
    assert list(scene.work.iterdir()) == []
    assert scene.node.psql(COUNT_THEIRS, database=f"{BEFORE}{second}") == "1"
    assert orchestrator.fingerprint(scene.node) == scene.kept


def test_a_restore_that_was_begun_after_another_was_done_leaves_no_mixture(
    scene: Moving, backups: dict[str, str]
) -> None:
    """The configuration of a backup comes to its place only with its database."""
    done, begun = backups["automated"], backups["manual"]
    assert scene.restore(backup=done).completed
    scene.config.write_text("of the first\n")
    scene.node.psql(THEIRS, database="orchestrator")
    killed = scene.restore(backup=begun, release=SAID["manual"], at=Point("6"))
    assert killed.ended == "killed", killed.said
    assert scene.config.read_text() == "of the first\n"
    again = scene.restore(backup=done)
    assert again.completed, again.said
    assert orchestrator.fingerprint(scene.node) == scene.kept
    assert scene.config.read_bytes() == scene.before.config.read_bytes()
    used = f"{BEFORE}{done}_2"
    assert scene.node.psql(COUNT_THEIRS, database=used) == "1"
    assert scene.restore(backup=done).changed == 0


def test_half_an_orchestrator_is_not_backed_up_and_what_a_whole_one_backs_up_is_not_latest(
    scene: Moving, backups: dict[str, str]
) -> None:
    """Not even when the restored backup is gone; and one that is damaged since is told."""
    chosen = backups["automated"]
    assert scene.restore(backup=chosen, at=Point("10", action=1)).ended == "killed"
    half = scene.run("orchestrator-backup")
    assert half.ended == "CheckFailed", half.said
    assert f"which replaces {scene.before.node.name}, is whole" in half.said
    assert scene.restore(backup="latest").completed
    own = scene.back_up()
    try:
        again = scene.restore(backup="latest")
        with recorded(scene, chosen, size=1):
            lost = scene.restore(backup="latest")
    finally:
        shutil.rmtree(scene.vault / own)
    assert (again.completed, again.changed) == (True, 0), (again.said, again.commands)
    assert "its contents are not compared" in str(again.record)
    assert own > chosen
    assert lost.ended == "CheckFailed", lost.said
    assert f"there is no whole backup '{chosen}'" in lost.said
    scene.node.psql("DROP TABLE nodes", database="orchestrator")
    damaged = scene.restore(backup="latest")
    assert damaged.ended == "CheckFailed", damaged.said
    assert "it has 1" in damaged.said
    scene.node.psql("ALTER DATABASE orchestrator RENAME TO orchestrator_damaged")
    anew = scene.restore(backup=chosen)
    assert anew.completed, anew.said
    assert orchestrator.fingerprint(scene.node) == scene.kept
