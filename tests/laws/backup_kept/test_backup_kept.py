"""What is kept is adopted, verified, and chosen only if it is sound and the cluster's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.shop import COMMAND
from tests.laws.backup_kept.backup_by_hand import BY_HAND, by_hand
from tests.laws.backup_scene import Scene, made_anew
from tests.laws.outcome import Outcome

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("method", ["fetch", "stream"])
@pytest.mark.parametrize("folder", ["shop", "."])
def test_a_backup_made_by_hand_is_adopted(scene: Scene, method: str, folder: str) -> None:
    path = by_hand(scene, method, BY_HAND if folder == "shop" else f"../{BY_HAND}")
    before = {item.name: item.read_bytes() for item in path.iterdir()}
    scene.backups = {"folder": folder}
    outcome = scene.run("adopt", backup=BY_HAND)
    assert outcome.completed, outcome.said
    record = json.loads((path / "backup.json").read_text())
    assert record["made_by"] == "adopted"
    assert record["self_contained"] is True
    assert {i.name: i.read_bytes() for i in path.iterdir() if i.name != "backup.json"} == before
    assert scene.run("adopt", backup=BY_HAND).changed == 0
    verified = scene.run("verify-backup", backup=BY_HAND)
    assert verified.completed, verified.said


def test_an_old_backup_adopted_today_is_not_the_newest(scene: Scene) -> None:
    by_hand(scene, "fetch", "backup_20991231000000")
    newest = scene.back_up()
    outcome = scene.run("adopt", backup="backup_20991231000000")
    assert outcome.completed, outcome.said
    chosen = scene.run("verify-backup", dry_run=True)
    assert chosen.plan is not None
    assert newest in chosen.plan.markdown()
    assert scene.run("prune", keep=1).completed
    assert scene.ids == [newest]


def test_a_backup_from_the_future_is_told_and_adopted_with_the_time_of_its_bytes(
    scene: Scene,
) -> None:
    made = scene.back_up()
    record = scene.store / made / "backup.json"
    ahead = scene.record(made) | {"finished": "2099-12-31T00:00:00Z"}
    record.write_text(json.dumps(ahead))

    def monitored() -> subprocess.CompletedProcess[str]:
        runner = scene.runner
        argv = [*COMMAND, "backups", "--max-age", "26h", "--inventory", runner.inventory]
        env = {**os.environ, **runner.environment}
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)

    monitor = monitored()
    assert monitor.returncode == 1
    assert "shop: the newest sound backup is from the future" in monitor.stderr
    refused = scene.run()
    assert refused.ended == "CheckFailed", refused.said
    assert "remove its backup.json and adopt it" in " ".join(refused.said.split())
    record.unlink()
    adopted = scene.run("adopt", backup=made)
    assert adopted.completed, adopted.said
    assert monitored().returncode == 0
    scene.back_up()


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def swap(path: Path) -> None:
    (other,) = (item for item in path.parent.glob("*.tar*") if item != path)
    both = path.read_bytes(), other.read_bytes()
    other.write_bytes(both[0])
    path.write_bytes(both[1])


def add(path: Path) -> None:
    path.with_name("16999.tar.zst").write_bytes(path.read_bytes())


def cut_manifest(path: Path) -> None:
    cut(path.with_name("backup_manifest"))


DAMAGE: list[Callable[[Path], None]] = [Path.unlink, cut, flip, swap, add, cut_manifest]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda d: d.__name__)
def test_damage_is_found_marked_and_not_chosen(
    scene: Scene, damage: Callable[[Path], None]
) -> None:
    older = scene.back_up()
    newer = scene.back_up()
    kept = scene.base / "kept"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(scene.store / newer, kept)
    (base,) = (scene.store / newer).glob("base.tar*")
    damage(base)
    outcome = scene.run("verify-backup", backup=newer)
    assert outcome.ended == "Damaged", outcome.said
    assert (scene.store / newer / "damaged.json").exists()
    latest = scene.run("verify-backup")
    assert latest.completed, latest.said
    assert older in latest.plan.markdown()  # type: ignore[union-attr]
    pruned = scene.run("prune", keep=1)
    assert pruned.completed, pruned.said
    assert older in scene.ids
    shutil.rmtree(scene.store / newer)
    shutil.copytree(kept, scene.store / newer)
    (scene.store / newer / "damaged.json").write_text("{}")
    healed = scene.run("verify-backup", backup=newer)
    assert healed.completed, healed.said
    assert not (scene.store / newer / "damaged.json").exists()
    assert scene.record(newer)["verified"] > scene.record(newer)["finished"]


def test_latest_is_the_cluster_s_own_and_another_s_is_restored_only_if_said(scene: Scene) -> None:
    own, other = [scene.back_up() for _ in range(2)]
    record = scene.store / other / "backup.json"
    record.write_text(record.read_text().replace('"cluster": "shop"', '"cluster": "other"'))

    def restored(**arguments: object) -> Outcome:
        return scene.run("instance-restore", dry_run=True, **arguments)

    latest = restored()
    assert latest.plan is not None, latest.said
    assert own in latest.plan.markdown()
    assert other not in latest.plan.markdown()
    assert own in str(scene.run("verify-backup", dry_run=True).plan)
    refused = restored(backup=other)
    assert refused.ended == "CheckFailed", refused.said
    assert "other_system=true" in refused.said
    renamed = restored(backup=other, other_system=True)
    assert renamed.completed, renamed.said
    (scene.store / own / "damaged.json").write_text("{}")
    assert "there is no sound backup of shop" in restored().said
    assert f"{other} is sound, of other" in restored().said


def test_a_server_made_anew_is_refused_once_and_pushes_out_nothing(scene: Scene) -> None:
    lost = [scene.back_up() for _ in range(2)]
    of_lost = scene.record(lost[0])["system_identifier"]
    with made_anew(scene.first):
        refused = scene.run()
        assert refused.ended == "CheckFailed", refused.said
        assert "other_system=true" in refused.said
        assert scene.ids == lost
        assert scene.run("prune", former_system=of_lost).ended == "CheckFailed"
        new = [scene.back_up(other_system=True), scene.back_up()]
        assert scene.run("prune", keep=1).completed
        assert scene.ids == [lost[1], new[1]]
    back = scene.run()
    assert back.ended == "CheckFailed", back.said
    pruned = scene.run("prune", keep=1, former_system=of_lost)
    assert pruned.completed, pruned.said
    assert scene.ids == [new[1]]
