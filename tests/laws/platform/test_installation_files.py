"""The laws of installation-files-backup: what is used is what version control has."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.laws import inventory
from tests.laws.outcome import Point
from tests.laws.platform.export_scene import Scene

pytestmark = pytest.mark.lab
FILES = {"cluster.conf": "chef: {\n  name: p\n}\n", "main.tf": 'variable "region" {}\n'}


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """Let the host have the files that the platform was installed from."""
    folder = scene.base / "installation"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    settings = {
        "host": inventory.host(scene.host, "postgres"),
        "files": [str(folder / name) for name in FILES],
    }
    scene.exports = {"installation": settings}
    return scene


def used(scene: Scene, name: str) -> Path:
    return scene.base / "installation" / name


def test_a_dry_run_changes_nothing_and_tells_what_is_not_in_version_control(scene: Scene) -> None:
    outcome = scene.done("installation-files-backup", dry_run=True)
    assert scene.commits() == 0
    assert "against version control: new cluster.conf, main.tf" in outcome.told
    assert outcome.plan is not None
    assert "git commit -m" in outcome.plan.markdown()


def test_only_changes_are_commits_and_drift_can_be_refused(scene: Scene) -> None:
    scene.done("installation-files-backup")
    assert scene.kept() == FILES
    assert scene.done("installation-files-backup").changed == 0
    assert scene.done("installation-files-backup", drift="refuse").changed == 0
    used(scene, "main.tf").write_text('variable "zone" {}\n')
    refused = scene.run("installation-files-backup", drift="refuse")
    assert "changed main.tf" in refused.said
    assert scene.commits() == 1
    scene.done("installation-files-backup")
    assert scene.commits() == 2
    assert scene.kept()["main.tf"] == 'variable "zone" {}\n'


@pytest.mark.parametrize(
    "point",
    [Point("3", action=1), Point("3", action=1, signal=signal.SIGTERM), Point("3")],
    ids=str,
)
def test_a_run_that_ended_early_is_started_again(scene: Scene, point: Point) -> None:
    assert not scene.run("installation-files-backup", at=point).completed
    scene.done("installation-files-backup")
    assert scene.kept() == FILES
    assert scene.commits() == 1


def test_secrets_go_to_a_store_and_never_into_git(scene: Scene) -> None:
    used(scene, "cluster.conf").write_text('chef: {\n  secret_key: "wJalrXUtnFEMI"\n}\n')
    refused = scene.run("installation-files-backup")
    assert "cluster.conf:2: a secret's value" in refused.said
    assert "wJalr" not in refused.said
    assert scene.commits() == 0
    scene.exports["installation"]["place"] = "store"
    scene.exports["keep"] = 1
    scene.done("installation-files-backup")
    used(scene, "main.tf").write_text("# another\n")
    scene.done("installation-files-backup")
    names = [Path(name).name for name in scene.stored("installation")]
    assert names == ["cluster.conf", "export.json", "main.tf"]
    assert scene.commits() == 0


def test_a_missing_or_empty_file_keeps_nothing(scene: Scene) -> None:
    scene.done("installation-files-backup")
    used(scene, "main.tf").write_text("")
    assert "no installation file is empty" in scene.run("installation-files-backup").said
    used(scene, "main.tf").unlink()
    assert "missing" in scene.run("installation-files-backup").said
    assert scene.kept() == FILES
