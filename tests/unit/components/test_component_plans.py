"""A plan that fails cleans up nothing: what it meets is another run's."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.components.fetching import Fetching
from runbook.errors import CheckFailed
from runbook.run import Mode, opened
from tests.unit.components import pieces


def test_a_failed_plan_leaves_what_another_run_is_fetching(tmp_path: Path) -> None:
    there = pieces.catalogue(tmp_path / "folder")
    vault = pieces.catalogue(tmp_path / "vault")
    there.begin("component", pieces.dump().id, "another run")
    fetching = Fetching(pieces.dump(), vault, pieces.keeper(there, tmp_path / "folder"))
    for mode in Mode:
        with (
            opened(pieces.run(mode)),
            pytest.raises(CheckFailed),
            fetching.unfinished_removed(),
        ):
            raise CheckFailed("before it began")
        assert [files.name for files in there.leftovers()] == [pieces.dump().name]


def test_a_failed_plan_asks_no_server_to_drop_what_another_run_is_loading(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = pieces.restore(pieces.catalogue(tmp_path), tmp_path)
    tried = {}
    for mode in Mode:
        caplog.clear()
        with (
            opened(pieces.run(mode)),
            pytest.raises(CheckFailed),
            job.unfinished_dropped(),
        ):
            raise CheckFailed("before it began")
        tried[mode] = "half loaded" in caplog.text
    assert tried == {Mode.PLAN: False, Mode.ACT: True}
