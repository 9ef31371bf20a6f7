"""The laws of base-backup: it changes nothing it was not asked to, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.laws import backup_scene
from tests.laws.backup_scene import Scene
from tests.laws.outcome import Point

pytestmark = pytest.mark.lab
BY_HAND = "backup_20200101000000"


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Scene:
    """Build the instance once: 40 MB that a limited rate can hold up for a while."""
    return backup_scene.build(loopback_lab, "b1")


@pytest.fixture
def scene(built: Scene) -> Iterator[Scene]:
    """Give the instance with default settings, and an empty store but for a backup made by hand."""
    built.empty()
    built.local, built.backups, built.replication = False, {}, {}
    built.way, built.on_node = {}, False
    by_hand = built.store / BY_HAND
    by_hand.mkdir(parents=True)
    (by_hand / "base.tar.gz").write_bytes(b"somebody's own")
    backup_scene.give_to_postgres(built.base / "store")
    yield built
    assert (by_hand / "base.tar.gz").read_bytes() == b"somebody's own"


def settled(scene: Scene) -> None:
    """Insist that nothing of a run is left on the host or the server."""
    processes.until(lambda: not scene.traces(), f"nothing is left: {scene.traces()}", within=60)


def test_a_dry_run_changes_nothing_and_shows_everything(
    scene: Scene, loopback_lab: LoopbackLab
) -> None:
    before = scene.files
    with loopback_lab.unchanged(scene.first):
        outcome = scene.run(dry_run=True)
    assert outcome.completed, outcome.said
    assert scene.files == before
    assert outcome.plan is not None
    page = outcome.plan.markdown()
    assert "BASE_BACKUP as postgres@" in page
    assert "backup.json" in page
    assert outcome.plan.changes == 2


@pytest.mark.parametrize("local", [False, True], ids=["ssh", "local"])
def test_a_backup_satisfies_the_tools_of_postgresql(scene: Scene, *, local: bool) -> None:
    scene.local = local
    made = scene.back_up(label='it\'s "odd" $(id) ü;--')
    record = scene.record(made)
    assert record["label"] == 'it\'s "odd" $(id) ü;--'
    assert [space["location"] for space in record["tablespaces"]] == [
        str(scene.first.tablespaces["cold"])
    ]
    expected = backup_scene.fingerprint(scene.first)
    with backup_scene.restored_by_hand(scene, made) as restored:
        assert backup_scene.fingerprint(restored) == expected
    settled(scene)


@pytest.mark.parametrize(
    ("compression", "archive"),
    [
        ("zstd", "base.tar.zst"),
        ("lz4", "base.tar.lz4"),
        ("gzip", "base.tar.gz"),
        ("none", "base.tar"),
    ],
)
def test_every_compression_of_the_settings_makes_a_backup_that_restores(
    scene: Scene, compression: str, archive: str
) -> None:
    scene.local, scene.backups = True, {"compression": compression}
    made = scene.back_up()
    assert (scene.store / made / archive).is_file()
    expected = backup_scene.fingerprint(scene.first)
    with backup_scene.restored_by_hand(scene, made) as restored:
        assert backup_scene.fingerprint(restored) == expected


def test_a_backup_that_has_shrunk_is_told_every_night_and_fails_none(scene: Scene) -> None:
    rows = "SELECT repeat(md5(n::text), 30) AS filler FROM generate_series(1, 100000) n"
    scene.first.psql(f"CREATE TABLE bulk AS {rows}")
    large = scene.back_up()
    scene.first.psql("DROP TABLE bulk; CHECKPOINT")
    for _ in range(2):
        outcome = scene.run()
        assert outcome.completed, outcome.said
        assert "WARNING: " in outcome.told
        assert f"of {large}. Was data removed?" in outcome.told


def test_the_same_run_again_makes_no_second_backup(scene: Scene) -> None:
    made = scene.back_up()
    again = scene.run(run_id=scene.record(made)["run_id"])
    assert again.completed
    assert again.changed == 0
    assert scene.ids == [made]


STEPS = ("1", "2", "3", "4", "5")
POINTS = [
    *(Point(step) for step in STEPS),
    Point("5", action=1),
    Point("5", transfer=True),
    Point("5", action=2),
]


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_killed_run_leaves_nothing_that_looks_whole_and_the_next_one_clears_up(
    scene: Scene, point: Point
) -> None:
    killed = scene.run(at=point)
    assert killed.ended == "killed"
    settled(scene)
    finished = point == Point("5")
    assert len(scene.ids) == (1 if finished else 0)
    left = [name for name in scene.files if not name.startswith(BY_HAND)]
    again = scene.run()
    assert again.completed, again.said
    if left and not finished:
        assert "of an interrupted run is gone" in again.told or "cut off are gone" in again.told
    assert len(scene.ids) == (2 if finished else 1)
    whole = {name.split("/")[0] for name in scene.files} - {BY_HAND}
    assert whole == set(scene.ids)
    assert not [name for name in scene.files if ".part-" in name or ".begun" in name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize("place", ["2", "4", "transfer", "entering"])
def test_a_cancelled_run_cleans_up_itself(scene: Scene, number: signal.Signals, place: str) -> None:
    points = {
        "transfer": Point("5", transfer=True, signal=number),
        "entering": Point("5", action=2, signal=number),
    }
    cancelled = scene.run(at=points.get(place) or Point(place, signal=number))
    assert cancelled.ended in ("KeyboardInterrupt", "_Terminated")
    settled(scene)
    assert scene.ids == []
    assert scene.files == [f"{BY_HAND}/base.tar.gz"]


def test_a_cancelled_stream_ends_in_seconds(scene: Scene) -> None:
    scene.backups = {"max_rate": "1M"}
    running = scene.runner.start("base-backup", cluster="shop")
    backup_scene.until_served(scene.first)
    began = time.monotonic()
    running.send(signal.SIGINT)
    assert running.outcome().ended == "KeyboardInterrupt"
    assert time.monotonic() - began < 15
    settled(scene)
    assert scene.files == [f"{BY_HAND}/base.tar.gz"]


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


def test_two_runs_at_once_make_one_backup(scene: Scene) -> None:
    scene.backups = {"max_rate": "5M"}
    first = scene.runner.start("base-backup", cluster="shop")
    backup_scene.until_served(scene.first)
    first.send(signal.SIGSTOP)
    second, pruning = scene.run(), scene.run("prune", keep=1)
    first.send(signal.SIGCONT)
    assert second.ended == pruning.ended == "Held"
    assert "another run holds cluster shop" in second.said
    assert first.outcome().completed
    assert len(scene.ids) == 1


@pytest.fixture
def secret(scene: Scene) -> Iterator[str]:
    """Give the server a password of its own: that of all labs stands in commands of others."""
    scene.password = f"hidden-in-{scene.first.host.lab}"
    scene.first.psql(f"ALTER ROLE postgres PASSWORD '{scene.password}'")
    yield scene.password
    scene.password = backup_scene.PASSWORD
    scene.first.psql(f"ALTER ROLE postgres PASSWORD '{scene.password}'")


def test_secrets_are_in_no_record_plan_or_command_line(scene: Scene, secret: str) -> None:
    scene.backups = {"max_rate": "2M"}
    running = scene.runner.start("base-backup", cluster="shop")
    backup_scene.until_served(scene.first)
    assert backup_scene.busy(secret) == []
    outcome = running.outcome()
    assert outcome.completed
    assert outcome.plan is not None
    texts = [outcome.plan.markdown(), outcome.said, outcome.trail.read_text()]
    texts += [json.dumps(scene.record(scene.ids[0]))]
    texts += [entry.command for entry in scene.first.host.journal]
    assert not [text for text in texts if secret in text]
