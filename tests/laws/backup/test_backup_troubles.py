"""What goes wrong while a backup runs: it is told, nothing is left, and the next run makes one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.laws import backup_scene
from tests.laws.backup.judged import BY_HAND, settled
from tests.laws.backup_scene import Scene

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("format_", ["fast", "page"])
def test_a_walsender_ended_by_the_server_is_told_and_leaves_nothing(
    scene: Scene, format_: str
) -> None:
    scene.backups = {"max_rate": "1M", "format": format_}
    scene.on_node = format_ == "page"
    running = scene.runner.start("base-backup", cluster="shop")
    backup_scene.kill_walsender(scene.first)
    outcome = running.outcome()
    assert outcome.cut_off or outcome.ended in ("ServerError", "CommandFailed")
    assert "terminating" in outcome.said or "lost" in outcome.said
    settled(scene)
    assert scene.files == [f"{BY_HAND}/base.tar.gz"]


def test_the_wal_of_a_running_backup_is_kept_for_it(scene: Scene) -> None:
    scene.backups = {"max_rate": "3M"}
    running = scene.runner.start("base-backup", cluster="shop")
    backup_scene.until_served(scene.first)
    backup_scene.recycle_wal(scene.first)
    outcome = running.outcome()
    assert outcome.completed, outcome.said
    settled(scene)
    (made,) = scene.ids
    expected = backup_scene.fingerprint(scene.first)
    with backup_scene.restored_by_hand(scene, made) as restored:
        assert backup_scene.fingerprint(restored) == expected


@pytest.mark.parametrize(
    ("format_", "slots_keep"), [("fast", "0"), ("page", "-1")], ids=["fast", "page"]
)
def test_wal_that_is_recycled_while_the_backup_runs_is_told_and_the_next_run_makes_one(
    scene: Scene, format_: str, slots_keep: str
) -> None:
    scene.backups = {"max_rate": "3M", "format": format_}
    scene.on_node = format_ == "page"
    with backup_scene.set_to(scene.first, "max_slot_wal_keep_size", slots_keep):
        running = scene.runner.start("base-backup", cluster="shop")
        backup_scene.until_served(scene.first)
        backup_scene.recycle_wal(scene.first)
        outcome = running.outcome()
    assert outcome.ended in ("ServerError", "CommandFailed"), outcome.said
    assert "has already been removed" in outcome.said
    assert "HINT:   Raise wal_keep_size on b1, " in outcome.said
    settled(scene)
    assert scene.files == [f"{BY_HAND}/base.tar.gz"]
    scene.backups = {"format": format_}
    made = scene.back_up()
    expected = backup_scene.fingerprint(scene.first)
    with backup_scene.restored_by_hand(scene, made) as restored:
        assert backup_scene.fingerprint(restored) == expected


def test_a_server_without_a_free_slot_is_backed_up_without_one(scene: Scene) -> None:
    taken = [f"taken_{number}" for number in range(10)]
    for name in taken:
        scene.first.psql(f"SELECT pg_create_physical_replication_slot('{name}')")
    try:
        outcome = scene.run("base-backup")
        assert outcome.completed, outcome.said
        said = [str(each.get("said")) for each in outcome.record if each["event"] == "done"]
        assert any("without a slot" in each for each in said)
    finally:
        for name in taken:
            scene.first.psql(f"SELECT pg_drop_replication_slot('{name}')")


@pytest.mark.parametrize("format_", ["fast", "page"])
def test_a_network_cut_in_the_middle_ends_the_host_s_side_too(
    scene: Scene, loopback_lab: LoopbackLab, format_: str
) -> None:
    scene.backups = {"max_rate": "1M", "format": format_}
    scene.on_node = format_ == "page"
    running = scene.runner.start("base-backup", cluster="shop")
    backup_scene.until_served(scene.first)
    with loopback_lab.trouble.unreachable(scene.first.host):
        outcome = running.outcome()
        settled(scene)
    assert outcome.cut_off, outcome.said
    assert scene.ids == []
    scene.backups = {"format": format_}
    again = scene.run()
    assert again.completed is True, again.said
    assert len(scene.ids) == 1


def test_a_full_store_is_told_and_nothing_is_left(scene: Scene, loopback_lab: LoopbackLab) -> None:
    scene.backups = {"folder": "full"}
    folder = scene.base / "store" / "full"
    with loopback_lab.trouble.full_disk(folder, size=8 << 20, free=1 << 20):
        outcome = scene.run()
        assert outcome.ended in ("StoreError", "CheckFailed"), outcome.said
        assert "space" in outcome.said
        left = {path.name for path in folder.rglob("*") if path.is_file()}
        assert left == {"ballast"}
    settled(scene)


@pytest.mark.parametrize("format_", ["fast", "page"])
def test_a_store_beside_the_living_data_leaves_the_server_its_room(
    scene: Scene, loopback_lab: LoopbackLab, format_: str
) -> None:
    slow = {"max_rate": "2M", "compression": "none"} if format_ == "fast" else {"max_rate": "2M"}
    scene.on_node, scene.backups = True, {"format": format_, **slow}
    node, trouble = scene.first, loopback_lab.trouble
    node.stop()
    with trouble.small_disk(node, free=400 << 20) as ballast, beside(scene):
        node.start()
        running = scene.runner.start("base-backup", cluster="shop")
        backup_scene.until_served(node)
        trouble.fill(ballast, 20 << 20)
        outcome = running.outcome()
        assert outcome.ended == "CheckFailed", outcome.said
        assert "needs the room" in outcome.said
        assert scene.files == []
        settled(scene)
        node.psql("CREATE TABLE goes_on AS SELECT generate_series(1, 10000)")
        refused = scene.run()
        assert refused.ended == "CheckFailed"
        assert "of it for the server that lives there" in refused.said
        ballast.unlink()
        scene.backups = {"format": format_}
        scene.back_up()
    node.start()


@contextmanager
def beside(scene: Scene) -> Iterator[None]:
    """Let the store lie on the file system of the server's directory."""
    store, there = scene.base / "store", scene.first.directory / "store"
    there.mkdir()
    backup_scene.give_to_postgres(there)
    processes.run(["mount", "--bind", there, store])
    try:
        yield
    finally:
        processes.run(["umount", "--lazy", store])
