"""One small instance for all laws of what is kept, with an empty store for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import backup_scene
from tests.laws.backup_scene import Scene


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Scene:
    """Build the instance once."""
    return backup_scene.build(loopback_lab, "k1", rows=500)


@pytest.fixture
def scene(built: Scene) -> Iterator[Scene]:
    """Give the instance with default settings and an empty store."""
    built.empty()
    built.on_node, built.backups = False, {}
    return built
