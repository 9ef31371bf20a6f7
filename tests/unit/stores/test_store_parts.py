"""Parts: enough for the largest object, in bounded memory, in order."""

from __future__ import annotations

import io
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.errors import StoreError, Unreachable
from runbook.stores import parts
from runbook.stores.parts import LARGEST_OBJECT, PART_BYTES, Parts, PartsUpload, part_size


def test_ten_thousand_parts_reach_the_largest_object_and_none_is_too_large() -> None:
    offset, number = 0, 0
    while offset < LARGEST_OBJECT:
        size = part_size(offset)
        assert 5 << 20 <= size <= 5 << 30
        offset, number = offset + size, number + 1
    assert number <= 10_000


class Kept:
    """A sink that keeps what it gets, or fails at one part."""

    def __init__(self, fails_at: int = -1) -> None:
        self.whole: bytes | None = None
        self.sent: dict[int, bytes] = {}
        self.buffers: set[str] = set()
        self.aborted = False
        self._fails_at = fails_at

    def put(self, data: bytes) -> None:
        self.whole = data

    def send(self, number: int, body: IO[bytes]) -> int:
        if number == self._fails_at:
            raise Unreachable("the store is away")
        self.buffers.add(type(body).__name__)
        self.sent[number] = body.read()
        return number

    def complete(self, parts: list[int]) -> None:
        assert parts == sorted(self.sent)
        self.whole = b"".join(self.sent[number] for number in parts)

    def abort(self) -> None:
        self.aborted = True


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=40), st.integers(1, 64))
def test_what_is_written_in_any_pieces_arrives_in_order(pieces: list[bytes], size: int) -> None:
    sink = Kept()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PART_BYTES", size)
        with PartsUpload(sink) as upload:
            for piece in pieces:
                upload.write(piece)
            upload.commit()
    assert sink.whole == b"".join(pieces)
    assert all(len(part) <= size for part in sink.sent.values())
    assert not sink.aborted


def test_larger_parts_wait_in_files_and_not_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 64)
    monkeypatch.setattr(parts, "MOST_IN_MEMORY", 100)
    monkeypatch.setattr(parts, "part_size", lambda offset: 64 if offset < 640 else 300)
    sink, data = Kept(), bytes(range(250)) * 20
    with PartsUpload(sink) as upload:
        upload.write(data)
        upload.commit()
    assert sink.whole == data
    assert sink.buffers == {"BytesIO", "BufferedRandom"}


@pytest.mark.parametrize("fails_at", [0, 1, 4])
def test_a_part_that_fails_ends_the_upload(monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 8)
    sink = Kept(fails_at)

    def upload() -> None:
        with PartsUpload(sink) as upload:
            upload.write(bytes(39))
            upload.commit()

    with pytest.raises(Unreachable):
        upload()
    assert sink.whole is None
    assert sink.aborted


def test_an_object_over_the_limit_is_refused_at_once() -> None:
    with pytest.raises(StoreError, match="more than a store takes"):
        PartsUpload(Kept(), LARGEST_OBJECT + 1)


def test_a_body_may_be_read_again() -> None:
    seen: list[bytes] = []

    def send(number: int, body: IO[bytes]) -> None:
        for _ in range(2):
            body.seek(0, io.SEEK_SET)
            seen.append(body.read())

    cut = Parts(send)
    cut.write(b"x" * (PART_BYTES + 3))
    cut.finish()
    cut.close()
    assert [len(body) for body in sorted(seen)] == [3, 3, PART_BYTES, PART_BYTES]
