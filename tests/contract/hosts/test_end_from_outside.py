"""An end from outside ends the commands of all goals, and lets each clear up."""

from __future__ import annotations

import os
import shlex
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import pytest

from runbook import together
from runbook.actions import Execute
from runbook.hosts import Command, Host
from runbook.run import Mode, Run, current, opened
from runbook.watch import LogWatcher

HERE = Host(name="here")


def run(mode: Mode) -> Run:
    return Run("1", "demo", "shop", {}, mode, LogWatcher())


class _Ended(BaseException):
    pass


@contextmanager
def ended_when_begun(*begun: Path) -> Iterator[None]:
    """End this process's run from outside as soon as these files are there."""

    def end(number: int, frame: FrameType | None) -> None:
        raise _Ended

    def watch() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not all(path.exists() for path in begun):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR2)

    before = signal.signal(signal.SIGUSR2, end)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        watcher.join()
        signal.signal(signal.SIGUSR2, before)


def sleeping(begun: Path) -> tuple[str, ...]:
    """Give a command that tells that it has begun, and sleeps."""
    return ("sh", "-c", f"touch {shlex.quote(str(begun))}; exec sleep 60")


def test_an_end_from_outside_ends_what_is_under_way_and_lets_it_clear_up(tmp_path: Path) -> None:
    cleared: list[str] = []
    files = [tmp_path / "one", tmp_path / "two"]

    def work(begun: Path) -> None:
        try:
            current().perform(Execute(HERE, Command(sleeping(begun), leashed=True)), "sleep")
            current().perform(Execute(HERE, Command(("true",))), "never")
        finally:
            cleared.append(HERE.read("echo", "cleared"))

    began = time.monotonic()
    with opened(run(Mode.ACT)) as acting, ended_when_begun(*files), pytest.raises(_Ended):
        together([partial(work, file) for file in files])
    assert time.monotonic() - began < 20
    assert cleared == ["cleared\n"] * 2
    assert acting.changed == 0


def test_an_end_from_outside_ends_the_questions_of_a_plan(tmp_path: Path) -> None:
    files = [tmp_path / "one", tmp_path / "two"]

    def work(begun: Path) -> None:
        HERE.read(*sleeping(begun))

    began = time.monotonic()
    with opened(run(Mode.PLAN)), ended_when_begun(*files), pytest.raises(_Ended):
        together([partial(work, file) for file in files])
    assert time.monotonic() - began < 20
