"""Places in a fixed order: who asks first waits for those before him, and no longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from runbook import together
from runbook.errors import CheckFailed
from runbook.run import Mode, Run, opened
from runbook.turns import Turns
from runbook.watch import LogWatcher


def run() -> Run:
    return Run("1", "demo", "shop", {}, Mode.ACT, LogWatcher())


def test_the_first_goes_first_although_he_asks_last() -> None:
    turns, order = Turns(1), list[int]()

    def work(number: int, late: float) -> Callable[[], None]:
        def do() -> None:
            time.sleep(late)
            with turns.taken(number):
                order.append(number)

        return do

    with opened(run()):
        together([work(0, 0.5), work(1, 0.2), work(2, 0)])
    assert order == [0, 1, 2]


def test_no_more_than_there_are_places_and_one_that_fails_gives_his_back() -> None:
    turns, both = Turns(2), threading.Barrier(2, timeout=10)
    now, most, lock = [0], [0], threading.Lock()

    def work(number: int) -> None:
        with turns.taken(number):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            if number < 2:
                both.wait()
            time.sleep(0.05)
            with lock:
                now[0] -= 1
            raise CheckFailed("no")

    with opened(run()), pytest.raises(CheckFailed, match="5 of them failed"):
        together([lambda number=number: work(number) for number in range(5)])  # type: ignore[misc]
    assert most == [2]
