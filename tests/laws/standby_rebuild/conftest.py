"""One repmgr cluster of three, with a tablespace, for all laws of standby-rebuild."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import replication_scene
from tests.laws.replication_scene import Scene


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    base = tmp_path_factory.mktemp("rebuild")
    return replication_scene.build(
        loopback_lab, "ra", "rb", "rc", base=base, apps=0, tablespaces=("cold",)
    )


@pytest.fixture
def healthy(scene: Scene) -> Iterator[Scene]:
    scene.reset()
    yield scene
    scene.halt()
