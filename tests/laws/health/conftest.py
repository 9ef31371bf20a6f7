"""One real repmgr pair for all laws of health-check."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import replication_scene
from tests.laws.health.findings import ARCHIVED
from tests.laws.replication_scene import Scene


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    scene = replication_scene.build(
        loopback_lab, "hca", "hcb", base=tmp_path_factory.mktemp("health"), rows=100
    )
    scene.back_up()
    for node in scene.nodes:
        node.psql("ALTER SYSTEM SET archive_mode = 'on'")
        node.psql(f"ALTER SYSTEM SET archive_command = '{ARCHIVED}'")
    scene.keep()
    return scene


@pytest.fixture(scope="module")
def at_work(built: Scene) -> Iterator[Scene]:
    """Start the pair for a module of tests, and let it rest afterwards."""
    built.reset()
    yield built
    built.halt()


@pytest.fixture
def scene(at_work: Scene) -> Iterator[Scene]:
    """Give the pair as it is: each test puts right what it has provoked, or takes `spoiled`."""
    yield at_work
    at_work.cluster_settings.clear()


@pytest.fixture
def spoiled(scene: Scene) -> Iterator[Scene]:
    """Give the pair to a test that cannot put it right."""
    yield scene
    scene.reset()
