"""What we encrypt, openssl and age open; what they encrypt, we open."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.errors import SettingsError
from runbook.logical import age, openssl
from runbook.logical.key_check import KeyCheck
from runbook.logical.recipe import insist_on_usable
from runbook.logical.settings import LogicalBackups
from tests.unit.logical.dumps import ID, IDENTITY, KEY, KEYS, SQL, by_the_page, ours, plain

CUTS = st.lists(st.integers(min_value=0, max_value=400), max_size=8)


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    at = 0
    for cut in cuts:
        yield data[at : at + cut]
        at += cut
    yield data[at:]


@given(st.binary(max_size=600), CUTS, CUTS)
@settings(deadline=None)
def test_openssl_s_form_comes_back_however_it_is_cut(
    data: bytes, in_: list[int], out: list[int]
) -> None:
    cipher = openssl.Encryptor(KEY)
    stream = b"".join(cipher.feed(piece) for piece in pieces(data, in_)) + cipher.finish()
    assert len(stream) == 16 + (len(data) // 16 + 1) * 16
    assert b"".join(openssl.decrypted(pieces(stream, out), KEY, "x")) == data


@given(st.binary(max_size=600), CUTS, CUTS)
@settings(deadline=None)
def test_age_s_form_comes_back_however_it_is_cut(
    data: bytes, in_: list[int], out: list[int]
) -> None:
    cipher = age.Encryptor(IDENTITY, "current")
    stream = b"".join(cipher.feed(piece) for piece in pieces(data, in_)) + cipher.finish()
    found: list[bytes] = []
    age.decrypted(pieces(stream, out), {"old": KEY, "current": IDENTITY}, "x", found.append)
    assert b"".join(found) == data


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 4096])
def test_openssl_itself_opens_what_we_wrote_and_we_what_it_wrote(size: int) -> None:
    data = SQL[:size]
    cipher = openssl.Encryptor(KEY)
    stream = cipher.feed(data) + cipher.finish()
    argv = ("openssl", "enc", "-aes256", "-md", "md5", "-pass", f"pass:{KEY.get_secret_value()}")
    opened = subprocess.run([*argv, "-d"], input=stream, capture_output=True, check=True)
    assert opened.stdout == data
    closed = subprocess.run(argv, input=data, capture_output=True, check=True).stdout
    assert b"".join(openssl.decrypted(iter([closed]), KEY, "x")) == data


@pytest.mark.parametrize("limit", [65536, 0], ids=["parts", "one object"])
def test_the_page_s_commands_open_what_we_wrote(folder: Path, limit: int) -> None:
    ours(folder, limit=limit)
    parts = f"$(ls -1v {ID}-*)" if limit else ID
    line = f"cat {parts} | openssl enc -aes256 -md md5 -d -pass 'pass:{KEY.get_secret_value()}'"
    bash = ["bash", "-o", "pipefail", "-c", f"{line} | gunzip -c"]
    assert subprocess.run(bash, cwd=folder, capture_output=True, check=True).stdout == SQL
    assert plain(folder) == SQL


def test_a_backup_of_the_page_s_commands_is_read_in_one_object_too(folder: Path) -> None:
    parts = by_the_page(folder)
    assert len(parts) > 2
    assert plain(folder) == SQL
    (folder / ID).write_bytes(b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()
    assert plain(folder) == SQL


@pytest.mark.parametrize("first", [0, 1, 7])
def test_parts_are_read_by_number_wherever_counting_begins(folder: Path, first: int) -> None:
    """Seven is no beginning: what was before it is missing."""
    for number, part in reversed([*enumerate(by_the_page(folder))]):
        part.rename(folder / f"{ID}-{number + first}")
    if first < 7:
        assert plain(folder) == SQL
    else:
        with pytest.raises(Exception, match="part 0 is missing"):
            plain(folder)


def test_age_itself_opens_what_we_wrote(folder: Path, tmp_path: Path) -> None:
    ours(folder, form="age")
    (tmp_path / "key").write_text(IDENTITY.get_secret_value())
    line = f"cat $(ls -1v {ID}-*) | age -d -i {tmp_path}/key | gunzip -c"
    bash = ["bash", "-o", "pipefail", "-c", line]
    assert subprocess.run(bash, cwd=folder, capture_output=True, check=True).stdout == SQL
    assert plain(folder, {"current": IDENTITY}) == SQL


def test_the_value_that_checks_a_key_fits_that_key_alone() -> None:
    check = KeyCheck.of(KEY)
    assert check.fits(KEY)
    assert not check.fits(KEYS["old"])
    assert check != KeyCheck.of(KEY)
    assert KEY.get_secret_value() not in check.model_dump_json()


@pytest.mark.parametrize("key", ["", " x", "x\n", "two\nlines", "x\0"])
def test_a_key_that_openssl_would_read_otherwise_is_refused(key: str) -> None:
    with pytest.raises(SettingsError):
        insist_on_usable(type(KEY)(key), LogicalBackups(store="s", guid="g"))


def test_a_key_of_one_format_is_not_taken_for_the_other() -> None:
    settings = LogicalBackups(store="s", guid="g", format="age")
    insist_on_usable(IDENTITY, settings)
    with pytest.raises(SettingsError, match="no identity of age"):
        insist_on_usable(KEY, settings)
