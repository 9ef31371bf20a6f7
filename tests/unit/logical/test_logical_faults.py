"""Every fault of a stored backup is told by its end, and most of them precisely."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from runbook.errors import CheckFailed, Damaged, RunbookError
from runbook.logical import openssl
from tests.unit.logical.dumps import (
    END,
    ID,
    IDENTITY,
    KEY,
    PART,
    SQL,
    by_the_page,
    changed,
    opened,
    ours,
    plain,
    rewritten,
    stored,
)

MAKERS = pytest.mark.parametrize("make", [by_the_page, ours], ids=["foreign", "ours"])


@MAKERS
@pytest.mark.parametrize("number", [0, 1, -1])
def test_a_missing_part_is_told(folder: Path, make: object, number: int) -> None:
    parts = _made(make, folder)
    parts[number].unlink()
    with pytest.raises(Damaged) as told:
        plain(folder)
    assert "missing" in str(told.value)
    if make is ours or number == 1:
        assert f"{parts[number].name[-1]} is missing" in told.value.detail


def test_no_part_at_all_is_told(folder: Path) -> None:
    for part in by_the_page(folder):
        part.unlink()
    with pytest.raises(Damaged, match="not whole"):
        plain(folder)


@MAKERS
def test_a_part_that_is_there_twice_is_told(folder: Path, make: object) -> None:
    parts = _made(make, folder)
    (folder / f"{ID}-01").write_bytes(parts[1].read_bytes())
    with pytest.raises(Damaged, match="not whole") as told:
        plain(folder)
    assert "part 1 is there twice" in told.value.detail


@MAKERS
def test_a_part_too_much_is_told(folder: Path, make: object) -> None:
    parts = _made(make, folder)
    (folder / f"{ID}-{len(parts)}").write_bytes(parts[-1].read_bytes())
    with pytest.raises(Damaged) as told:
        plain(folder)
    assert make is by_the_page or "is not in its record" in told.value.detail


@MAKERS
def test_parts_that_were_swapped_are_told(folder: Path, make: object) -> None:
    parts = _made(make, folder)
    one, two = parts[1].read_bytes(), parts[2].read_bytes()
    parts[1].write_bytes(two)
    parts[2].write_bytes(one)
    with pytest.raises(Damaged) as told:
        plain(folder)
    assert make is by_the_page or f"has the bytes of {ID}-2: swapped" in told.value.detail


@MAKERS
@pytest.mark.parametrize("left", [0, 1, 15, 16, PART // 2, PART - 16])
def test_a_part_that_was_cut_is_told(folder: Path, make: object, left: int) -> None:
    parts = _made(make, folder)
    parts[1].write_bytes(parts[1].read_bytes()[:left])
    with pytest.raises(Damaged) as told:
        plain(folder)
    assert make is by_the_page or f"{ID}-1 has {left} bytes" in told.value.detail


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """Make a small backup in one object, without a record of ours."""
    folder = tmp_path_factory.mktemp("kept")
    (part,) = by_the_page(folder, b"--\n-- PostgreSQL database cluster dump\n" + END)
    return part, part.read_bytes()


@given(where=st.floats(min_value=0, max_value=1, exclude_max=True), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_byte_can_be_changed_unnoticed(kept: tuple[Path, bytes], where: float, bit: int) -> None:
    part, data = kept
    part.write_bytes(data)
    changed(part, int(where * len(data)), 1 << bit)
    with pytest.raises(RunbookError):
        plain(part.parent)


@given(where=st.floats(min_value=0, max_value=1, exclude_max=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_nothing_can_be_cut_off_unnoticed(kept: tuple[Path, bytes], where: float) -> None:
    part, data = kept
    part.write_bytes(data[: int(where * len(data))])
    with pytest.raises(RunbookError):
        plain(part.parent)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("form", ["openssl", "age"])
def test_a_changed_byte_is_told_with_its_part(folder: Path, number: int, form: str) -> None:
    part = ours(folder, form=form)[number]
    changed(part, 1000)
    with pytest.raises(Damaged) as told:
        plain(folder, {"current": IDENTITY if form == "age" else KEY})
    assert f"{part.name} is not what was stored" in told.value.detail


@pytest.mark.parametrize("at", [60, 200, 70_000, -1], ids=str)
def test_age_tells_a_change_without_any_record(folder: Path, at: int) -> None:
    parts = ours(folder, form="age")
    (folder / f"{ID}.json").write_text("{}")
    number, where = (len(parts) - 1, -1) if at < 0 else divmod(at, PART)
    changed(parts[number], where)
    with pytest.raises(RunbookError):
        plain(folder, {"current": IDENTITY})


@MAKERS
def test_a_wrong_key_is_told(folder: Path, make: object) -> None:
    _made(make, folder)
    with pytest.raises(CheckFailed, match="no key opens") as told:
        plain(folder, {"old": SecretStr("another"), "older": SecretStr("a third")})
    assert "tried of encryption_keys: old, older" in told.value.detail
    assert make is by_the_page or "written with key 'current'" in told.value.detail
    with pytest.raises(CheckFailed, match="no key opens"):
        plain(folder, {})


def test_a_wrong_identity_is_told(folder: Path) -> None:
    ours(folder, form="age")
    for keys in ({"old": KEY}, {}):
        with pytest.raises(CheckFailed, match="no key opens") as told:
            plain(folder, keys)
        assert "AGE-SECRET-KEY-1" in told.value.hint


def test_a_wrong_key_that_unpads_by_luck_is_told(folder: Path) -> None:
    """openssl exits with 0 and gives garbage; one key in 256 is such a one."""
    (part,) = by_the_page(folder, b"short" + END)
    data = part.read_bytes()
    lucky = next(key for key in _wrong_keys() if _unpads(data, key))
    argv = ("openssl", "enc", "-d", "-aes256", "-md", "md5", "-pass")
    done = subprocess.run([*argv, f"pass:{lucky}"], input=data, capture_output=True, check=False)
    assert done.returncode == 0
    with pytest.raises(CheckFailed, match="no key opens"):
        plain(folder, {"current": SecretStr(lucky)})


def test_a_beginning_that_is_damaged_is_told_from_a_wrong_key(folder: Path) -> None:
    part = ours(folder)[0]
    changed(part, 20)
    with pytest.raises(Damaged) as told:
        plain(folder)
    assert f"{part.name} is not what was stored" in told.value.detail


@pytest.mark.parametrize("how", ["-md sha256", "-pbkdf2"])
def test_another_key_derivation_is_named(folder: Path, how: str) -> None:
    by_the_page(folder, how=how)
    with pytest.raises(CheckFailed, match="no key opens") as told:
        plain(folder)
    assert f"Key 'current' opens it with {how}" in told.value.hint


@MAKERS
@pytest.mark.parametrize("left", [0, 40, len(SQL) // 2, -len(END), -3])
def test_a_dump_that_was_cut_before_it_was_encrypted_is_told(
    folder: Path, make: object, left: int
) -> None:
    assert callable(make)
    make(folder, SQL[:left])
    with pytest.raises(Damaged, match="is not whole") as told:
        plain(folder)
    assert "pg_dumpall was cut off" in told.value.detail


def test_a_last_line_inside_the_dump_is_not_its_end(folder: Path) -> None:
    by_the_page(folder, END + b"COPY t FROM stdin;\n1\n")
    with pytest.raises(Damaged, match="is not whole"):
        plain(folder)


def test_another_dump_than_the_record_s_is_told(folder: Path) -> None:
    ours(folder)
    rewritten(folder, dump_size=len(SQL) + 1)
    with pytest.raises(Damaged, match=f"has {len(SQL)} bytes"):
        plain(folder)


@pytest.mark.parametrize("data", [b"", b"Salted__", b"Salted__12345678", b"\x1f\x8b\x08 plain"])
def test_what_is_no_backup_at_all_is_told(folder: Path, data: bytes) -> None:
    (folder / f"{ID}-0").write_bytes(data)
    (folder / f"{ID}.json").write_text("{}")
    with pytest.raises(RunbookError):
        plain(folder)


def test_one_object_beside_parts_is_told(folder: Path) -> None:
    parts = by_the_page(folder)
    (folder / ID).write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(Damaged, match="not whole"):
        plain(folder)


def test_a_part_that_cannot_be_read_is_the_store_s_own_error(folder: Path) -> None:
    by_the_page(folder)
    (dump,) = stored(folder)
    opened(folder).remove([f"{ID}-1"])
    with pytest.raises(RunbookError, match=f"has no {ID}-1"):
        b"".join(dump.plain({"current": KEY}))


def test_a_reader_that_goes_away_leaves_no_thread(folder: Path) -> None:
    ours(folder)
    (dump,) = stored(folder)
    before = set(threading.enumerate())
    reading = dump.plain({"current": KEY})
    assert next(reading)
    assert isinstance(reading, Iterator)
    reading.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) <= before


def _made(make: object, folder: Path) -> list[Path]:
    assert callable(make)
    parts = make(folder)
    assert isinstance(parts, list)
    assert len(parts) > 3
    return parts


def _wrong_keys() -> Iterator[str]:
    yield from (f"wrong {number}" for number in range(100_000))


def _unpads(data: bytes, key: str) -> bool:
    cipher = openssl.derived(SecretStr(key), data[8:16]).decryptor()
    plain_ = cipher.update(data[16:])
    return 1 <= plain_[-1] <= 16 and plain_[-plain_[-1] :] == bytes([plain_[-1]]) * plain_[-1]
