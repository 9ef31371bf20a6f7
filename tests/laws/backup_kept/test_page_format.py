"""The page's own format: pg_basebackup on the host makes it, the page's own command unpacks it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time

import pytest

from tests.lab import processes
from tests.laws import backup_scene
from tests.laws.backup_scene import Scene
from tests.laws.outcome import Point

pytestmark = pytest.mark.lab


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
