"""One damaged instance for all places; mounts, settings and files are put right after each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.lab import processes
from tests.lab.addresses import mounts_under
from tests.lab.loopback import LoopbackLab
from tests.laws import restore_scene
from tests.laws.restore_scene import Scene


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return restore_scene.build(loopback_lab, "place", tmp_path_factory.mktemp("place"))


@pytest.fixture
def shop(scene: Scene) -> Iterator[Scene]:
    """The damaged instance; mounts, settings and files are as before when the test ends."""
    kept = scene.base / "kept"
    if not kept.exists():
        shutil.copytree(scene.base / "store", kept)
    scene.reset()
    backup, fingerprint = scene.backup, scene.fingerprint
    yield scene
    scene.node.stop("immediate")
    for mount in reversed(mounts_under(scene.node.directory)):
        processes.run(["umount", "--lazy", mount])
    scene.node.directory.chmod(0o755)
    shutil.chown(scene.node.directory, "postgres", "postgres")
    shutil.rmtree(scene.base / "store")
    shutil.copytree(kept, scene.base / "store")
    scene.backup, scene.fingerprint = backup, fingerprint
    scene.settings.clear()
    scene.cluster.clear()
