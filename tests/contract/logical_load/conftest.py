"""A rich source, its dump, and an empty target, one of each for all tests of the loader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.logical_load import scene
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode


@pytest.fixture(scope="module")
def source(loopback_lab: LoopbackLab) -> PostgresNode:
    server = scene.make(loopback_lab, "lls")
    scene.script(server, Path(__file__).parent / "rich.sql")
    return server


@pytest.fixture(scope="module")
def rich(source: PostgresNode) -> bytes:
    return scene.dump(source)


@pytest.fixture(scope="module")
def _target(loopback_lab: LoopbackLab) -> PostgresNode:
    return scene.make(loopback_lab, "llt")


@pytest.fixture
def target(_target: PostgresNode) -> Iterator[PostgresNode]:
    yield _target
    _target.start() if not _target.is_running() else None
    scene.emptied(_target)
