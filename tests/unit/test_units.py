"""The systemd units: what holds for every service that has passwords in its memory."""

from __future__ import annotations

from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parents[2] / "deployments" / "systemd").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_no_core_with_passwords_is_written(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert "LimitCORE=0" in lines
    assert "NoNewPrivileges=yes" in lines
