"""One damaged instance for the laws of a restore and of its undo."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import restore_scene
from tests.laws.restore_scene import Scene


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return restore_scene.build(loopback_lab, "law", tmp_path_factory.mktemp("law"))


@pytest.fixture
def damaged(scene: Scene) -> Iterator[Scene]:
    """The instance as it was after the damage; nothing of a restore is left when the test ends."""
    scene.reset()
    yield scene
    scene.node.stop("immediate")
