"""A launcher that finds what a killed one has left at work, and a run among it that hangs."""

import os
from pathlib import Path

import pytest

from deployments.children import child, left_behind
from deployments.settings import ControlRoom
from deployments.up import Launcher
from runbook.errors import RunbookError
from runbook.marks import marked


def test_a_run_that_does_not_end_is_told_in_the_end_and_nothing_of_it_is_ended(
    tmp_path: Path,
) -> None:
    """No API answers at the address: the mark of the run is enough."""
    room = ControlRoom(port=9, state=tmp_path)
    told: list[str] = []
    argv = ("http.server", "0", "--bind", "127.0.0.1")
    with (
        child("worker", argv, dict(os.environ), tmp_path, 10.0) as worker,
        marked(tmp_path / "runs", "a1", "base-backup", "shop"),
    ):
        worker.start()
        launcher = Launcher(room, told.append, drain=3600.0, longest=0.5)
        with pytest.raises(RunbookError, match="base-backup shop: still at work") as seen:
            launcher.run()
        assert list(left_behind(tmp_path)) == [worker.note]
    assert told == ["waiting for base-backup shop"]
    assert "1 h 0 min (--drain)" in seen.value.hint
