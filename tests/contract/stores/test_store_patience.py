"""Patience: progress renews it, silence ends it, refusals end it at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runbook.errors import StoreError, StoreForbidden, Unreachable
from runbook.stores.patience import Transient, patiently, resumed


def test_what_works_in_the_end_is_given() -> None:
    answers: list[object] = [Transient("busy"), Transient("busy"), 7]

    def ask() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently("ask", ask, 1) == 7


def test_what_stays_broken_is_unreachable_with_what_was_seen() -> None:
    def ask() -> None:
        raise Transient("HTTP 503 SlowDown")

    with pytest.raises(Unreachable, match="ask failed again and again") as told:
        patiently("ask", ask, 0.3)
    assert told.value.detail == "HTTP 503 SlowDown"


def test_a_refusal_is_not_asked_again() -> None:
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        raise StoreForbidden("no")

    with pytest.raises(StoreForbidden):
        patiently("ask", ask, 1)
    assert len(asked) == 1


def test_progress_renews_patience_however_often_it_breaks() -> None:
    data = bytes(range(8))

    def open_at(at: int) -> Iterator[bytes]:
        yield data[at : at + 1]
        raise Transient("reset")

    # 8 breaks, although patience is for two pauses only
    assert b"".join(resumed("read", 8, 0, open_at, 0.3)) == data


def test_bytes_that_nobody_announced_are_refused() -> None:
    with pytest.raises(StoreError, match="more than"):
        list(resumed("read", 3, 0, lambda _: iter([b"1234"]), 1))


def test_an_early_end_is_a_break() -> None:
    with pytest.raises(Unreachable) as told:
        list(resumed("read", 3, 1, lambda _: iter([]), 0.2))
    assert told.value.detail == "ended after 1 of 3 bytes"
