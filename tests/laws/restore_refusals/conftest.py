"""One damaged instance for all refusals; its store and settings are put right after each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import restore_scene
from tests.laws.restore_scene import Scene


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return restore_scene.build(loopback_lab, "bad", tmp_path_factory.mktemp("bad"))


@pytest.fixture
def shop(scene: Scene) -> Iterator[Scene]:
    """The running, damaged instance; its store and settings are put right after the test."""
    kept = scene.base / "kept"
    if not kept.exists():
        shutil.copytree(scene.base / "store", kept)
    yield scene
    shutil.rmtree(scene.base / "store")
    shutil.copytree(kept, scene.base / "store")
    scene.settings.clear()
    scene.cluster.clear()
