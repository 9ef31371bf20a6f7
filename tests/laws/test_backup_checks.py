"""What base-backup refuses before anything is changed, and how it says so."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from tests.lab.loopback import LoopbackLab
from tests.lab.ssh import create_key
from tests.laws import backup_scene
from tests.laws.backup_scene import Scene
from tests.laws.outcome import Outcome

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Scene:
    """Build the instance once."""
    return backup_scene.build(loopback_lab, "c1", rows=100, tablespaces=())


@pytest.fixture
def scene(built: Scene) -> Scene:
    """Give the instance with default settings; whatever is refused leaves the store empty."""
    built.empty()
    built.backups, built.replication, built.way, built.node = {}, {}, {}, {}
    return built


def refused(scene: Scene, **arguments: Any) -> Outcome:
    """Insist that plan and run are refused alike, that nothing was stored, and give the run."""
    before = scene.files
    planned = scene.run(dry_run=True, **arguments)
    outcome = scene.run(**arguments)
    assert not outcome.completed
    assert planned.ended == outcome.ended
    assert scene.files == before
    assert outcome.changed == 0
    assert "ERROR:" in outcome.said
    return outcome


def test_an_unknown_cluster_or_store_is_refused(scene: Scene) -> None:
    said = scene.runner.run("base-backup", cluster="shoop").said
    assert "there is no cluster 'shoop'" in said
    assert "known: shop" in said
    assert "there is no store 'nowhere'" in refused(scene, destination="nowhere").said


def test_a_store_without_room_is_refused(scene: Scene, loopback_lab: LoopbackLab) -> None:
    with loopback_lab.trouble.full_disk(scene.base / "store" / "shop", size=2 << 20):
        store = scene.base / "store"
        scene.base = scene.base / "small"
        scene.base.mkdir()
        (scene.base / "store").symlink_to(store / "shop")
        said = refused(scene).said
        scene.base = scene.base.parent
        shutil.rmtree(scene.base / "small")
    assert "has room" in said
    assert "needed" in said


def test_a_label_of_two_lines_is_refused(scene: Scene) -> None:
    assert "control characters" in refused(scene, label="one\ntwo").said


@pytest.mark.parametrize("rate", ["fast", "1", "9999M", "-5M", "10 M"])
def test_a_rate_that_postgresql_would_refuse_is_refused(scene: Scene, rate: str) -> None:
    scene.backups = {"max_rate": rate}
    assert "max_rate cannot be" in refused(scene).said


def test_a_server_without_a_free_walsender_is_refused(scene: Scene) -> None:
    scene.first.psql("ALTER SYSTEM SET max_wal_senders = 0; ALTER SYSTEM SET wal_level = minimal;")
    scene.first.stop()
    scene.first.start()
    try:
        assert "wal_level is minimal" in refused(scene).said
        scene.first.psql("ALTER SYSTEM SET wal_level = replica")
        scene.first.stop()
        scene.first.start()
        assert "0 of 0 are in use" in refused(scene).said
    finally:
        scene.first.psql("ALTER SYSTEM RESET ALL")
        scene.first.stop()
        scene.first.start()


def test_a_spread_checkpoint_is_waited_for(scene: Scene) -> None:
    scene.backups = {"fast_checkpoint": False}
    scene.first.psql("ALTER SYSTEM SET checkpoint_completion_target = 0; SELECT pg_reload_conf()")
    made = scene.back_up()
    assert made in scene.ids
    assert "CHECKPOINT 'spread'" in scene.first.log.read_text()


def test_a_backup_from_the_future_stops_the_next_one(scene: Scene) -> None:
    made = scene.back_up()
    record = scene.store / made / "backup.json"
    about = json.loads(record.read_text())
    record.write_text(json.dumps({**about, "finished": "2099-01-01T00:00:00Z"}))
    said = refused(scene).said
    assert "from the future" in said
    assert made in said


def test_a_host_that_does_not_answer_is_told(scene: Scene, loopback_lab: LoopbackLab) -> None:
    with loopback_lab.trouble.unreachable(scene.first.host):
        outcome = refused(scene)
    assert outcome.ended == "Unreachable"
    assert scene.first.host.address in outcome.said


def test_a_server_that_is_down_is_told(scene: Scene) -> None:
    scene.first.stop()
    try:
        assert "PostgreSQL on c1 does not answer" in refused(scene).said
    finally:
        scene.first.start()


def test_a_stranger_s_host_key_is_refused(scene: Scene) -> None:
    known = scene.base / "known"
    create_key(scene.base / "stranger-host")
    public = (scene.base / "stranger-host.pub").read_text().split()[:2]
    host = scene.first.host
    known.write_text(f"[{host.address}]:{host.ssh_port} {' '.join(public)}\n")
    scene.way = {"known_hosts": str(known)}
    for path in scene.base.glob("stranger-host*"):
        path.unlink()
    said = refused(scene).said
    assert "another SSH host key" in said


def test_a_missing_psql_is_told(scene: Scene) -> None:
    scene.node = {"bin_directory": "/usr/lib/postgresql/99/bin"}
    said = refused(scene).said
    assert "/usr/lib/postgresql/99/bin/psql" in said
    assert "bin_directory" in said


def test_another_data_directory_than_the_settings_is_refused(scene: Scene) -> None:
    scene.node = {"data_directory": "/srv/elsewhere"}
    assert "settings /srv/elsewhere" in refused(scene).said


def test_a_data_directory_behind_a_link_is_the_same(scene: Scene) -> None:
    link = scene.base / "link"
    link.symlink_to(scene.first.data_directory)
    scene.node = {"data_directory": str(link)}
    assert scene.run(dry_run=True).completed
    link.unlink()


def test_a_wrong_password_is_refused_before_anything_else(scene: Scene) -> None:
    scene.password = "hush-hush"
    try:
        said = refused(scene).said
    finally:
        scene.password = backup_scene.PASSWORD
    assert "password authentication failed" in said
    assert "hush-hush" not in said
