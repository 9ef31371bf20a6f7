"""An instance and its Backup Manager for each module of tests, as new for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import managed_scene
from tests.laws.managed_scene import Scene


@pytest.fixture(scope="module")
def built(
    request: pytest.FixtureRequest,
    loopback_lab: LoopbackLab,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """Make the instance, under a name of the module's own."""
    name = {"backup": "mgb", "restore": "mgr", "key": "mgk"}[request.module.__name__.split("_")[-1]]
    with managed_scene.built(loopback_lab, name, tmp_path_factory.mktemp(name)) as made:
        yield made
    made.node.stop("immediate")


@pytest.fixture
def scene(built: Scene) -> Scene:
    """Give it as it was in the beginning."""
    built.reset()
    return built
