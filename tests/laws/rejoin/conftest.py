"""One repmgr cluster of two for all laws of rejoin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import replication_scene
from tests.laws.replication_scene import Scene


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    base = tmp_path_factory.mktemp("rejoin")
    return replication_scene.build(
        loopback_lab, "ja", "jb", base=base, apps=0, tablespaces=("cold",)
    )


@pytest.fixture
def healthy(scene: Scene) -> Iterator[Scene]:
    scene.reset()
    yield scene
    scene.halt()
