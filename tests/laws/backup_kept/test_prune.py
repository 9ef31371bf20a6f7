"""Pruning keeps the newest sound backups, and touches nothing that is not its own."""

from __future__ import annotations

import contextlib

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws.backup_kept.backup_by_hand import by_hand
from tests.laws.backup_scene import Scene
from tests.laws.restore_scene import READING

pytestmark = pytest.mark.lab


def test_prune_keeps_the_newest_and_removes_whole_backups(
    scene: Scene, loopback_lab: LoopbackLab
) -> None:
    made = [scene.back_up() for _ in range(3)]
    hand = by_hand(scene, "fetch")
    before = scene.files
    with loopback_lab.unchanged(scene.first, scripts=READING):
        dry = scene.run("prune", keep=2, dry_run=True)
    assert dry.completed, dry.said
    assert scene.files == before
    assert dry.plan is not None
    assert f"remove {made[0]}/" in dry.plan.markdown()
    outcome = scene.run("prune", keep=2)
    assert outcome.completed, outcome.said
    assert scene.ids == made[1:]
    assert not (scene.store / made[0]).exists()
    assert (hand / "base.tar.gz").exists()
    assert scene.run("prune", keep=2).changed == 0


def test_backups_that_have_lost_their_archive_push_out_no_sound_one(scene: Scene) -> None:
    made = [scene.back_up() for _ in range(3)]
    for hollow in made[1:]:
        (scene.store / hollow / "base.tar.zst").unlink()
    outcome = scene.run("prune", keep=2)
    assert outcome.completed, outcome.said
    assert f"{made[2]} counts for nothing: it is incomplete: base.tar.zst is mis" in outcome.told
    assert scene.ids == made
    restore = scene.run("instance-restore", dry_run=True)
    assert restore.completed, restore.said
    assert restore.plan is not None
    facts = {fact.name: fact.value for fact in restore.plan.facts}
    assert facts["backup"].startswith(made[0])
    assert all(f"{each}, " in facts["PASSED OVER"] for each in made[1:])
    assert scene.run("verify-backup").ended == "Damaged", "the newest is what is looked at"
    assert (scene.store / made[2] / "damaged.json").exists()


def test_a_prune_that_was_killed_leaves_nothing_that_looks_whole(scene: Scene) -> None:
    made = [scene.back_up() for _ in range(2)]
    (archive,) = (scene.store / made[0]).glob("base.tar*")
    record = scene.store / made[0] / "backup.json"
    (scene.store / f"{made[0]}.begun.json").write_text("{}")
    record.unlink()
    assert archive.exists()
    outcome = scene.run("prune", keep=1)
    assert outcome.completed, outcome.said
    assert not archive.exists()
    assert scene.ids == made[1:]
    assert not [name for name in scene.files if ".begun" in name]


def test_prune_makes_room_in_a_store_that_is_full(scene: Scene, loopback_lab: LoopbackLab) -> None:
    with loopback_lab.trouble.full_disk(scene.store, size=96 << 20, free=80 << 20) as folder:
        made = [scene.back_up() for _ in range(2)]
        with (folder / "more").open("wb") as file, contextlib.suppress(OSError):
            while file.write(bytes(1 << 20)):
                file.flush()
        outcome = scene.run("prune", keep=1)
        assert outcome.completed, outcome.said
        assert scene.ids == made[1:]


def test_prune_leaves_another_cluster_s_backups_alone(scene: Scene) -> None:
    made = [scene.back_up() for _ in range(2)]
    record = scene.store / made[0] / "backup.json"
    record.write_text(record.read_text().replace('"cluster": "shop"', '"cluster": "other"'))
    assert scene.run("prune", keep=1).completed
    assert scene.ids == made
    (scene.store / made[1] / "damaged.json").write_text("{}")
    left = scene.run("prune", keep=1)
    assert left.ended == "CheckFailed", "no sound one of its own is left"
    assert "Take a backup now" in left.said


def test_a_record_that_cannot_be_read_stops_no_backup_and_is_not_pruned(scene: Scene) -> None:
    made = scene.back_up()
    record = scene.store / made / "backup.json"
    record.write_text("{}")
    newer = scene.back_up()
    outcome = scene.run("prune", keep=1)
    assert outcome.completed, outcome.said
    assert "cannot be read" in outcome.told
    assert scene.ids == [made, newer]
