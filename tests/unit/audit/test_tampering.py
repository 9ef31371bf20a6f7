"""Whatever is changed in a history is found, and placed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from runbook.audit.chain import Finding
from runbook.audit.index import RunsIndex
from runbook.audit.verification import verified
from tests.unit.audit.scene import History

RUNS = ("first", "refused", "waited", "last")
_HEAD_BYTES = 94
MUCH = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
Lines = list[bytes]


def files(past: History) -> list[Path]:
    """Every file that is a chain."""
    return [*(past.record(run) for run in RUNS), RunsIndex(past.audit).path]


@contextmanager
def changed(path: Path, content: bytes) -> Iterator[None]:
    """Put other bytes into a file, and the right ones back."""
    before = path.read_bytes()
    assert content != before
    overwrite(path, content)
    try:
        yield
    finally:
        overwrite(path, before)


def overwrite(path: Path, content: bytes) -> None:
    """Write in place: what empties a file first, some file systems put on disk at once."""
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()


def found(past: History, path: Path) -> list[Finding]:
    """What is told of a file after somebody has changed it."""
    told = verified(past.audit).broken
    return [each for each in told if each.file == str(path)]


@MUCH
@given(data=st.data())
def test_every_changed_byte_is_found_in_its_line(past: History, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(files(past)))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    with changed(path, whole[:at] + bytes([byte]) + whole[at + 1 :]):
        told = found(past, path)
    assert told
    assert min(each.line for each in told) == whole.count(b"\n", 0, at) + 1


def test_every_single_bit_of_a_record_is_found(past: History) -> None:
    path = past.record("refused")
    whole = path.read_bytes()
    for at in range(len(whole)):
        with changed(path, whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            told = found(past, path)
        assert min(each.line for each in told) == whole.count(b"\n", 0, at) + 1, at


def test_every_single_bit_of_the_last_line_of_the_index_is_found(past: History) -> None:
    """Nothing follows that line; only the head beside the index holds its digest."""
    path = RunsIndex(past.audit).path
    whole = path.read_bytes()
    for at in range(whole.rindex(b"\n", 0, -1) + 1, len(whole)):
        with changed(path, whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            assert found(past, path), at


def dropped(lines: Lines, at: int, other: int) -> tuple[Lines, int]:
    return lines[:at] + lines[at + 1 :], at


def swapped(lines: Lines, at: int, other: int) -> tuple[Lines, int]:
    lines = lines.copy()
    lines[at], lines[other] = lines[other], lines[at]
    return lines, min(at, other)


def duplicated(lines: Lines, at: int, other: int) -> tuple[Lines, int]:
    return [*lines[: at + 1], *lines[at:]], at + 1


def moved_in(lines: Lines, at: int, other: int) -> tuple[Lines, int]:
    return [*lines[:at], lines[other], *lines[at:]], at


def cut(lines: Lines, at: int, other: int) -> tuple[Lines, int]:
    return lines[:at], at


def beheaded(lines: Lines, at: int, other: int) -> tuple[Lines, int]:
    return lines[at + 1 :], 0


CHANGES = (dropped, swapped, duplicated, moved_in, cut, beheaded)


@pytest.mark.parametrize("change", CHANGES)
@MUCH
@given(data=st.data())
def test_every_changed_entry_is_found_where_it_was(
    past: History, change: Callable[[Lines, int, int], tuple[Lines, int]], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(files(past)))
    lines = path.read_bytes().splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    other = data.draw(st.integers(0, len(lines) - 1).filter(lambda n: n != at))
    after, place = change(lines, at, other)
    with changed(path, b"".join(after)):
        told = found(past, path)
    assert told
    if after:
        assert min(each.line for each in told) == place + 1


@MUCH
@given(data=st.data())
def test_a_file_cut_anywhere_is_found(past: History, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(files(past)))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    with changed(path, whole[:at]):
        told = found(past, path)
    assert told
    assert at == 0 or min(each.line for each in told) == whole.count(b"\n", 0, at) + 1


@pytest.mark.parametrize("run", RUNS)
def test_a_record_that_is_gone_is_found(past: History, run: str) -> None:
    path, kept = past.record(run), past.state / "kept"
    path.rename(kept)
    try:
        (told,) = verified(past.audit).broken
        assert "the record is missing" in told.what
        assert told.run == run
    finally:
        kept.rename(path)


def test_a_record_of_another_run_is_no_replacement(past: History) -> None:
    path = past.record("first")
    with changed(path, past.record("last").read_bytes()):
        assert found(past, path)


def test_an_older_index_is_found_although_it_is_whole(past: History, tmp_path: Path) -> None:
    """Index and head as they were before the last run: that run's record betrays them."""
    copy = History(tmp_path / "state")
    copy.small()
    older = tmp_path / "older"
    shutil.copytree(RunsIndex(copy.audit).folder, older)
    copy.run("later")
    shutil.rmtree(RunsIndex(copy.audit).folder)
    shutil.copytree(older, RunsIndex(copy.audit).folder)
    (told,) = verified(copy.audit).broken
    assert (told.run, told.line) == ("later", 1)
    assert "was cut or replaced" in told.what


def test_an_index_that_forgets_the_end_of_a_run_is_found(tmp_path: Path) -> None:
    history = History(tmp_path / "state")
    history.small()
    index = RunsIndex(history.audit)
    head = index.head()
    assert head is not None
    lines = index.path.read_bytes().splitlines(keepends=True)
    index.path.write_bytes(b"".join(lines[:-1]))
    assert next(each.line for each in verified(history.audit).broken) == len(lines)
    (index.folder / "head").unlink()
    assert verified(history.audit).broken


@MUCH
@given(at=st.integers(0, _HEAD_BYTES - 2), byte=st.sampled_from(b"0123456789abcdef x\xff"))
@example(at=0, byte=ord(" "))
def test_a_changed_head_of_the_index_is_told(past: History, at: int, byte: int) -> None:
    head = RunsIndex(past.audit).folder / "head"
    whole = head.read_bytes()
    assert len(whole) == _HEAD_BYTES
    if byte != whole[at]:
        with changed(head, whole[:at] + bytes([byte]) + whole[at + 1 :]):
            assert verified(past.audit).findings


def test_a_rewritten_record_with_a_whole_chain_is_found(past: History, tmp_path: Path) -> None:
    """Somebody who knows the format writes a chain anew: the seal in the index is another."""
    other = History(tmp_path / "state")
    other.run("first", reason="forged")
    path = past.record("first")
    with changed(path, other.record("first").read_bytes()):
        assert found(past, path)


def test_a_record_put_there_by_hand_is_found(past: History, tmp_path: Path) -> None:
    other = History(tmp_path / "state")
    other.run("invented")
    path = past.record("invented")
    shutil.copy(other.record("invented"), path)
    try:
        assert [each.run for each in verified(past.audit).broken] == ["invented"]
    finally:
        path.unlink()
