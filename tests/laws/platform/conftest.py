"""A platform with its client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws.platform import export_scene
from tests.laws.platform.export_scene import Scene


@pytest.fixture(scope="module")
def exporting(loopback_lab: LoopbackLab) -> Scene:
    """Build the host once."""
    return export_scene.build(loopback_lab, "pc")


@pytest.fixture
def scene(exporting: Scene) -> Iterator[Scene]:
    """Give a platform with two policy documents, and empty places."""
    exporting.begin()
    yield exporting
    exporting.settled()
