"""One instance for all laws of logical-backup, with a store that others upload to as well."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import logical_backup_scene
from tests.laws.logical_backup_scene import FOREIGN, Scene


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Scene:
    """Build the instance once."""
    return logical_backup_scene.build(loopback_lab, "lb1")


@pytest.fixture
def scene(built: Scene) -> Iterator[Scene]:
    """Give the instance, and a store with nothing but what others are just uploading."""
    built.empty()
    for name in FOREIGN:
        (built.folder / name).write_bytes(b"somebody's own")
    yield built
    assert [(built.folder / name).read_bytes() for name in FOREIGN] == [b"somebody's own"] * 3
