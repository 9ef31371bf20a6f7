"""The laws of logical-backup, judged by the page's own commands."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from runbook.hosts.host import READ
from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.laws.backup_scene import busy
from tests.laws.logical_backup_scene import (
    FOREIGN,
    GUID,
    KEY,
    Scene,
    by_the_page,
    comparable,
    loaded,
)
from tests.laws.outcome import Point

pytestmark = pytest.mark.lab


def test_a_dry_run_changes_nothing_and_shows_everything(
    scene: Scene, loopback_lab: LoopbackLab
) -> None:
    before = scene.files
    with loopback_lab.unchanged(scene.node, scripts=(READ,)):
        outcome = scene.run(dry_run=True)
    assert outcome.completed, outcome.said
    assert scene.files == before
    assert outcome.plan is not None
    page = outcome.plan.markdown()
    assert "| gzip | openssl enc -aes256 -md md5 -pass pass:*** | split -d -b 65536 - " in page
    assert f"{GUID}-$(date +%s%3N)" in page
    assert outcome.plan.changes == 3


def test_the_page_s_commands_restore_it_into_a_fresh_server(
    scene: Scene, loopback_lab: LoopbackLab
) -> None:
    before = scene.plain()
    made = scene.back_up()
    dump = by_the_page(scene.folder, made)
    assert comparable(dump.read_text()) == before
    fresh = loopback_lab.postgres("lb-fresh")
    loaded(fresh, dump)
    assert comparable(fresh.tool("pg_dumpall")) == before
    rows = scene.record(made)["rows"]
    assert rows["shop"] == {"public.customers": 400, "public.orders": 4000}
    assert rows["Ünï cödé"] == {'public."we;ird"': 4}
    assert rows["latin"] == {"public.t": 1}
    fresh.stop("immediate")


def test_the_record_tells_everything_and_no_secret(scene: Scene) -> None:
    made = scene.back_up()
    record = scene.record(made)
    names = [part["name"] for part in record["parts"]]
    assert names == [f"{made}-{index}" for index in range(len(names))]
    assert len(names) > 1
    assert {name for name in scene.files if name.startswith(made)} == {*names, f"{made}.json"}
    assert record["server_version"].startswith("15.")
    assert record["dump_version"].startswith("15.")
    assert record["encoding"] == "LATIN1, UTF8"
    assert record["dump_size"] == by_the_page(scene.folder, made).stat().st_size
    assert KEY not in json.dumps(record)
    verified = scene.run("verify-logical-backup")
    assert verified.completed, verified.said
    assert verified.changed == 0


def test_a_backup_that_has_shrunk_is_told_every_night_and_fails_none(scene: Scene) -> None:
    rows = "SELECT repeat(md5(n::text), 30) AS filler FROM generate_series(1, 20000) n"
    scene.node.psql(f"CREATE TABLE bulk AS {rows}")
    large = scene.back_up()
    scene.node.psql("DROP TABLE bulk; CHECKPOINT")
    for _ in range(2):
        outcome = scene.run()
        assert outcome.completed, outcome.said
        assert "WARNING: " in outcome.told
        assert f"of {large}. Was data removed?" in outcome.told


def test_the_same_run_again_makes_no_second_backup_and_another_one_does(scene: Scene) -> None:
    made = scene.back_up()
    again = scene.run(run_id=scene.record(made)["run_id"])
    assert again.completed, again.said
    assert again.changed == 0
    assert len(scene.ids) == 2
    kept = {name: (scene.folder / name).read_bytes() for name in scene.files}
    second = scene.back_up()
    assert second > made
    assert {name: (scene.folder / name).read_bytes() for name in kept} == kept


def test_a_run_killed_after_any_step_is_finished_by_the_next(scene: Scene) -> None:
    before = scene.files
    for step in ("1", "2", "3", "4"):
        assert scene.run(at=Point(step)).ended == "killed"
        assert scene.files == before
    scene.back_up()
    scene.settled()


POINTS = [Point("5"), Point("5", action=2), Point("5", action=3), Point("5", transfer=True)]


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_killed_run_leaves_nothing_that_looks_whole_and_the_next_one_clears_up(
    scene: Scene, point: Point
) -> None:
    first = scene.ids
    assert scene.run(at=point).ended == "killed"
    scene.settled()
    finished = point == Point("5")
    assert len(scene.ids) == len(first) + finished
    _clears_up(scene)


def test_a_run_killed_in_the_dump_is_cleared_up_by_the_next(scene: Scene) -> None:
    scene.back_up()
    assert scene.run(at=Point("5", transfer=True)).ended == "killed"
    scene.settled()
    _clears_up(scene)


def _clears_up(scene: Scene) -> None:
    begun = [name for name in scene.files if name.endswith(".begun")]
    whole = scene.ids
    again = scene.run()
    assert again.completed, again.said
    if begun:
        assert "of an interrupted run is gone" in again.told
    assert len(scene.ids) == len(whole) + 1
    ids = set(scene.ids)
    for name in set(scene.files) - set(FOREIGN):
        assert name.removesuffix(".json").rpartition("-")[0] in ids or name[:-5] in ids, name


@pytest.mark.parametrize("point", ["2", "4", "dumping", "reading back", "entering"])
def test_a_cancelled_run_cleans_up_itself(scene: Scene, point: str) -> None:
    if point == "dumping":
        scene.back_up()
    points = {
        "dumping": Point("5", transfer=True, signal=signal.SIGTERM),
        "reading back": Point("5", transfer=True, signal=signal.SIGINT),
        "entering": Point("5", action=3, signal=signal.SIGTERM),
    }
    before = scene.files
    cancelled = scene.run(at=points.get(point) or Point(point, signal=signal.SIGTERM))
    assert cancelled.ended in ("KeyboardInterrupt", "_Terminated"), cancelled.said
    scene.settled()
    assert scene.files == before


@contextmanager
def locked(scene: Scene) -> Iterator[None]:
    """Keep a table of the shop locked, so that pg_dump waits for it."""
    with psycopg.connect(
        scene.node.conninfo("shop"), application_name="the lock of a test"
    ) as connection:
        connection.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_pg_dumpall_ends_with_the_run_even_while_it_waits(
    scene: Scene, number: signal.Signals
) -> None:
    before = scene.files
    key = f"{KEY}-{scene.node.host.lab}"  # the page's commands show theirs, in other labs, too
    scene.keys = {"current": key}
    with locked(scene):
        running = scene.runner.start("logical-backup", cluster=scene.name)
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        processes.until(lambda: scene.node.psql(waits) != "", "pg_dump waits for the table")
        assert busy(key) == []
        running.send(number)
        assert running.outcome().ended in ("killed", "_Terminated")
        scene.settled()
    if number == signal.SIGTERM:
        assert scene.files == before
    assert scene.run().completed


def test_age_opens_what_we_wrote_for_it(scene: Scene, tmp_path: Path) -> None:
    made = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    identity = made.splitlines()[-1]
    scene.logical, scene.keys = {"format": "age"}, {"current": identity}
    before = scene.plain()
    backup = scene.back_up()
    assert scene.run("verify-logical-backup").completed
    key_file = tmp_path / "key"
    key_file.write_text(made)
    line = f"cat $(ls -1v {backup}-*) | age -d -i {key_file} | gunzip -c"
    bash = ["bash", "-o", "pipefail", "-c", line]
    done = subprocess.run(bash, cwd=scene.folder, capture_output=True, text=True, check=True)
    assert comparable(done.stdout) == before
    scene.keys = {"current": identity, "old": KEY}
    scene.logical = {"format": "age", "key": "old"}
    refused = scene.run()
    assert refused.ended == "SettingsError"
    assert "age-keygen" in refused.said
