"""A launcher that finds what a killed one has left at work, and a run among it that hangs."""

import os
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from deployments.children import child, left_behind
from deployments.settings import ControlRoom
from deployments.up import Launcher
from runbook.errors import RunbookError
from runbook.marks import marked

WORKER = ("http.server", "0", "--bind", "127.0.0.1")


def test_a_run_that_does_not_end_is_told_in_the_end_and_nothing_of_it_is_ended(
    tmp_path: Path,
) -> None:
    """No API answers at the address: the mark of the run is enough."""
    room = ControlRoom(port=9, state=tmp_path)
    told: list[str] = []
    with (
        child("worker", WORKER, dict(os.environ), tmp_path, 10.0) as worker,
        marked(tmp_path / "runs", "a1", "base-backup", "shop"),
    ):
        launcher = Launcher(room, told.append, drain=3600.0, longest=0.5)
        with pytest.raises(RunbookError, match="base-backup shop: still at work") as seen:
            launcher.run()
        assert list(left_behind(tmp_path)) == [worker.note]
    assert told == ["waiting for base-backup shop"]
    assert "1 h 0 min (--drain)" in seen.value.hint


@pytest.mark.parametrize(("ends", "named", "longest"), [(False, "shop", 0.5), (True, "later", 2.0)])
def test_a_run_that_has_begun_meanwhile_is_not_told_for_one_that_hangs(
    tmp_path: Path, ends: bool, named: str, longest: float
) -> None:
    """The clock begins anew with it, when those that were there before have ended."""
    runs = tmp_path / "runs"
    with ExitStack() as later, ExitStack() as first:
        first.enter_context(marked(runs, "a1", "base-backup", "shop"))
        later.enter_context(child("worker", WORKER, dict(os.environ), tmp_path, 10.0))

        def begin(_: str) -> None:
            later.enter_context(marked(runs, "b2", "base-backup", "later"))

        launcher = Launcher(ControlRoom(port=9, state=tmp_path), begin, longest=longest)
        ending = threading.Timer(1.0, first.close)
        began = time.monotonic()
        if ends:
            ending.start()
        with pytest.raises(RunbookError) as seen:
            launcher.run()
        assert seen.value.message.startswith(f"base-backup {named}: still at work")
        assert time.monotonic() - began > (longest + 1.0 if ends else longest)
