"""The laws of base-backup: it changes nothing it was not asked to, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import backup_scene
from tests.laws.backup.judged import BY_HAND, settled
from tests.laws.backup_scene import Scene
from tests.laws.outcome import Point

pytestmark = pytest.mark.lab


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
