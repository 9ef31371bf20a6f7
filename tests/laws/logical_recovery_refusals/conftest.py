"""One damaged pair for all refusals; its backup and settings are put right after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import logical_recovery_scene
from tests.laws.logical_recovery_scene import STAMP, Recoverable, store


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Recoverable:
    base = tmp_path_factory.mktemp("lrr")
    return logical_recovery_scene.build(loopback_lab, "lrr", "lrs", base=base)


@pytest.fixture
def pair(scene: Recoverable) -> Iterator[Recoverable]:
    """A primary and its standby, with the settings as they were, and their one backup."""
    yield scene
    scene.login = "root"
    scene.recovery.clear()
    for path in scene.folder.iterdir():
        path.unlink()
    store(scene, STAMP, scene.sql)
