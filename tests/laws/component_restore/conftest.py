"""One server for all laws of component-restore, written to since its databases were dumped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import component_restore_scene
from tests.laws.component_restore_scene import Restores


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Restores:
    """Build the server once."""
    return component_restore_scene.build(loopback_lab, "cr")


@pytest.fixture
def there(built: Restores) -> Iterator[Restores]:
    """Give the server with the dumps of databases that have been written to since."""
    built.reset()
    yield built
    built.scene.settled()
