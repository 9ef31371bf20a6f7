"""Trying again, where that is harmless: transient errors of stores, with jitter."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from runbook.errors import StoreError, Unreachable
from runbook.watch import log

T = TypeVar("T")

PATIENCE = 60.0
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 15.0


class Transient(Exception):
    """A break that may be over the next time; its text is what was seen."""


def patiently(what: str, do: Callable[[], T], patience: float = PATIENCE) -> T:
    """Do something that may be done again; Unreachable when it stays broken.

    `patience` are the seconds to wait between the tries, all together.
    """
    pauses = _pauses(patience)
    while True:
        try:
            return do()
        except Transient as error:
            _pause(what, pauses, error)


def resumed(
    what: str,
    size: int,
    start: int,
    open_at: Callable[[int], Iterator[bytes]],
    patience: float = PATIENCE,
) -> Iterator[bytes]:
    """Give the bytes of an object from `start` to `size`, opening it again where it broke.

    Progress renews the patience: a stall is no byte at all, not a long time. StoreError when
    more bytes come than there are.
    """
    at, pauses = start, _pauses(patience)
    while at < size:
        before = at
        try:
            for piece in open_at(at):
                at += len(piece)
                if at > size:
                    raise StoreError(f"{what}: more than the {size} bytes that were announced")
                yield piece
            if at < size:
                raise Transient(f"ended after {at} of {size} bytes")
        except Transient as error:
            pauses = _pauses(patience) if at > before else pauses
            _pause(what, pauses, error)


def _pauses(patience: float) -> Iterator[float]:
    pause, spent = _FIRST_PAUSE, 0.0
    while spent < patience:
        yield pause
        spent += pause
        pause = min(pause * 2, _LONGEST_PAUSE)


def _pause(what: str, pauses: Iterator[float], error: Transient) -> None:
    pause = next(pauses, None)
    if pause is None:
        raise Unreachable(
            f"{what} failed again and again",
            detail=str(error),
            hint="Is the store up and reachable from the worker? Then start again.",
        ) from error
    pause *= random.uniform(0.5, 1.5)  # noqa: S311 - jitter, so that many do not come back at once
    log.warning("%s: %s; trying again in %.1f s", what, error, pause)
    time.sleep(pause)
