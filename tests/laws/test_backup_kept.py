"""What is kept: the page's own format, adoption, verification and pruning."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.shop import COMMAND
from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import BIN_DIRECTORY
from tests.laws import backup_scene
from tests.laws.backup_scene import Scene, made_anew
from tests.laws.outcome import Outcome, Point
from tests.laws.restore_scene import READING

pytestmark = pytest.mark.lab
BY_HAND = "backup_20240229233000"


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Scene:
    """Build the instance once."""
    return backup_scene.build(loopback_lab, "k1", rows=500)


@pytest.fixture
def scene(built: Scene) -> Iterator[Scene]:
    """Give the instance with default settings and an empty store."""
    built.empty()
    built.on_node, built.backups = False, {}
    return built


def by_hand(scene: Scene, method: str, name: str = BY_HAND) -> Path:
    """Take a backup as the page's reader does."""
    target = scene.store / name
    scene.store.mkdir(exist_ok=True)
    backup_scene.give_to_postgres(scene.store)
    where = ["-h", scene.first.host.address, "-U", "postgres", "-F", "tar", "-z"]
    env = {"PGPASSWORD": scene.password}
    argv = [BIN_DIRECTORY / "pg_basebackup", *where, "-X", method, "-c", "fast", "-D", target]
    processes.run(argv, user="postgres", env=env)
    return target


def test_the_page_s_format_is_restored_by_the_page_s_own_command(scene: Scene) -> None:
    scene.on_node, scene.backups = True, {"format": "page"}
    made = scene.back_up(label="nightly")
    folder = scene.store / made
    assert {path.name for path in folder.iterdir()} >= {"base.tar.gz", "backup_manifest"}
    data = scene.base / "page"
    data.mkdir()
    subprocess.run(["tar", "-zxf", folder / "base.tar.gz"], cwd=data, check=True)
    assert "nightly" in (data / "backup_label").read_text()
    shutil.rmtree(data)
    expected = backup_scene.fingerprint(scene.first)
    with backup_scene.restored_by_hand(scene, made) as restored:
        assert backup_scene.fingerprint(restored) == expected
    assert scene.record(made)["made_by"] == "page"


def test_a_dry_run_in_the_page_s_format_shows_the_page_s_command(scene: Scene) -> None:
    scene.on_node, scene.backups = True, {"format": "page"}
    outcome = scene.run(dry_run=True)
    assert outcome.plan is not None
    page = outcome.plan.markdown()
    assert "-F tar -z -X fetch" in page
    assert "backup_$(date +%Y%m%d%H%M%S)" in page.replace("'", "")
    assert "PGPASSFILE=***" in page
    assert not scene.store.exists()


def test_a_killed_worker_takes_pg_basebackup_on_the_host_along(scene: Scene) -> None:
    scene.on_node, scene.backups = True, {"format": "page", "max_rate": "1M"}
    running = scene.runner.start("base-backup", cluster="shop")
    backup_scene.until_served(scene.first)
    running.send(signal.SIGKILL)
    assert running.outcome().ended == "killed"
    processes.until(lambda: not scene.traces(), "nothing is left", within=60)
    scene.backups = {"format": "page"}
    again = scene.run()
    assert again.completed, again.said
    assert "of an interrupted run is gone" in again.told
    assert len(scene.ids) == 1


def test_progress_is_told_while_pg_basebackup_runs(scene: Scene) -> None:
    scene.on_node, scene.backups = True, {"format": "page", "max_rate": "8M"}
    killed = scene.run(at=Point("5", transfer=True))
    assert killed.ended == "killed"


def test_a_server_that_does_not_tell_the_progress_ends_no_backup(scene: Scene) -> None:
    scene.on_node, scene.backups = True, {"format": "page", "max_rate": "4M"}
    rules = scene.first.data_directory / "pg_hba.conf"
    usual = rules.read_text()
    processes.until(lambda: not scene.traces(), "nobody else is served", within=60)
    running = scene.runner.start("base-backup", cluster="shop")
    backup_scene.until_served(scene.first)
    try:
        rules.write_text(usual.replace("local all all peer", "local all all reject"))
        os.kill(scene.first.pid, signal.SIGHUP)
        time.sleep(4)
        assert not scene.ids, "it is still under way"
    finally:
        rules.write_text(usual)
        os.kill(scene.first.pid, signal.SIGHUP)
    outcome = running.outcome()
    assert outcome.completed, outcome.said
    assert len(scene.ids) == 1


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


def test_a_record_that_cannot_be_read_stops_no_backup_and_is_not_pruned(scene: Scene) -> None:
    made = scene.back_up()
    record = scene.store / made / "backup.json"
    record.write_text("{}")
    newer = scene.back_up()
    outcome = scene.run("prune", keep=1)
    assert outcome.completed, outcome.said
    assert "cannot be read" in outcome.told
    assert scene.ids == [made, newer]


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
