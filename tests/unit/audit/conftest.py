"""Histories for the tests of the audit record."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.audit.scene import History


@pytest.fixture
def history(tmp_path: Path) -> History:
    """An empty history."""
    (tmp_path / "state").mkdir()
    return History(tmp_path / "state")


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> History:
    """A small history, for tests that put back what they change."""
    made = History(tmp_path_factory.mktemp("past"))
    made.small()
    return made
