"""Names of logical backups: exactly this guid, ordered by number, opaque otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.errors import Damaged
from runbook.logical.metadata import read_metadata
from runbook.logical.names import BackupName, named
from tests.unit.logical.dumps import GUID, ID, by_the_page, ours, rewritten, stored

GUIDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)
NUMBERS = st.integers(min_value=0, max_value=10**15).map(str)


@given(GUIDS, NUMBERS, NUMBERS)
@settings(deadline=None)
def test_a_name_is_read_as_it_was_written(guid: str, time: str, index: str) -> None:
    name = BackupName(guid, time)
    for key, piece, ending in (
        (str(name), "", ""),
        (name.part(int(index)), str(int(index)), ""),
        (name.record, "", ".json"),
        (name.mark, "", ".begun"),
    ):
        seen = named(key, guid)
        assert seen is not None
        assert (seen.backup, seen.index, seen.ending) == (name, piece, ending)


@given(GUIDS, GUIDS, NUMBERS)
@settings(deadline=None)
def test_a_guid_that_begins_like_another_has_none_of_its_backups(
    guid: str, more: str, time: str
) -> None:
    seen = named(f"{guid}{more}-{time}.json", guid)
    assert seen is None or f"{guid}{more}".startswith(f"{guid}-")
    assert named(f"{guid}-{more}-{time}.json", guid) is None


@pytest.mark.parametrize(
    "rest", ["", "-", "x", ".jsonx", "-1.json", "-1-2", "-+1", "-\u0661", ".json\n"]
)
def test_other_names_are_none_of_ours(rest: str) -> None:
    assert named(f"{ID}{rest}", GUID) is None or rest == ""


def test_the_newest_is_the_one_with_the_highest_number_not_the_last_in_the_alphabet(
    folder: Path,
) -> None:
    for time in ("999", "1740130000", "1548967947154", "20"):
        (folder / f"{GUID}-{time}.json").write_text("{}")
    times = [dump.name.timestamp for dump in stored(folder)]
    assert times == ["20", "999", "1740130000", "1548967947154"]


def test_a_backup_that_is_still_being_uploaded_is_not_there(folder: Path) -> None:
    by_the_page(folder)
    (folder / f"{ID}.json").unlink()
    assert stored(folder) == ()


def test_a_guid_that_is_the_beginning_of_another_finds_its_own_backups_only(folder: Path) -> None:
    by_the_page(folder)
    assert stored(folder, GUID[:-1]) == ()
    assert stored(folder, GUID.rpartition("-")[0]) == ()
    assert len(stored(folder)) == 1


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"layout": "other"}', "", "\0\1", "7"])
def test_a_record_of_somebody_else_tells_nothing_and_is_no_error(text: str) -> None:
    assert read_metadata(text.encode(), ID) is None
    assert read_metadata(b"\xff\xfe" + text.encode(), ID) is None


def test_our_own_record_is_read_back(folder: Path) -> None:
    parts = ours(folder)
    (dump,) = stored(folder)
    assert dump.metadata is not None
    assert [part.name for part in dump.metadata.parts] == [part.name for part in parts]
    assert dump.metadata.stored_size == dump.size == sum(part.stat().st_size for part in parts)


@pytest.mark.parametrize(
    "change", [{"parts": []}, {"dump_sha256": "x"}, {"id": f"{ID}0"}, {"format": "zip"}], ids=str
)
def test_our_own_record_changed_is_damage(folder: Path, change: dict[str, object]) -> None:
    ours(folder)
    rewritten(folder, **change)
    (dump,) = stored(folder)
    with pytest.raises(Damaged, match=f"{ID}.json"):
        _ = dump.metadata
    assert "cannot be used" in json.dumps(str(_error(dump.record))) or "id" in change


def _error(read: object) -> str:
    assert callable(read)
    try:
        read()
    except Damaged as error:
        return str(error)
    return ""
