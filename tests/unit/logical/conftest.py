"""A folder of backups, and a fresh copy of one made by the page's commands."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give an empty folder."""
    made = tmp_path / "backups"
    made.mkdir()
    return made
