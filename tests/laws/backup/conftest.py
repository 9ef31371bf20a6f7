"""One instance for all laws of base-backup, with a store that holds somebody's own backup."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import backup_scene
from tests.laws.backup.judged import BY_HAND
from tests.laws.backup_scene import Scene


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Scene:
    """Build the instance once: 40 MB that a limited rate can hold up for a while."""
    return backup_scene.build(loopback_lab, "b1")


@pytest.fixture
def scene(built: Scene) -> Iterator[Scene]:
    """Give the instance with default settings, and an empty store but for a backup made by hand."""
    built.empty()
    built.local, built.backups, built.replication = False, {}, {}
    built.way, built.on_node = {}, False
    by_hand = built.store / BY_HAND
    by_hand.mkdir(parents=True)
    (by_hand / "base.tar.gz").write_bytes(b"somebody's own")
    backup_scene.give_to_postgres(built.base / "store")
    yield built
    assert (by_hand / "base.tar.gz").read_bytes() == b"somebody's own"
