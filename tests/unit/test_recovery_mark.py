"""Which database is which in a logical recovery: by its OID, whatever it is called."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.logical.recovery.databases import identifier
from runbook.logical.recovery.mark import RecoveryMark, aside_name
from runbook.logical.recovery.settings import RecoverySettings

STAMP = "20261121154000"


LATER = "20261121160000"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SHOP, LEDGER, MADE, THEIRS = 16400, 16401, 16500, 16600
SET_ASIDE = {f"shop_aside_{STAMP}": SHOP, f"ledger_aside_{STAMP}": LEDGER}


def mark(stamp: str = STAMP, **more: object) -> RecoveryMark:
    said = {"backup": "g-1", "run_id": "r", "stamp": stamp, "names": ("shop", "ledger")}
    return RecoveryMark.model_validate({**said, "kept": {}, **more})


def half_loaded(**more: object) -> RecoveryMark:
    return mark(kept=SET_ASIDE, made=(MADE,), **more)


def test_what_stands_under_the_names_of_the_dump_is_set_aside() -> None:
    begun = mark().begun_after(None, {"shop": SHOP, "ledger": LEDGER, "other": 1})
    assert begun.kept == SET_ASIDE
    assert not begun.made


def test_only_what_the_load_has_noted_is_its_own() -> None:
    now = {"shop": MADE, "ledger": THEIRS}
    begun = mark(LATER, backup="g-2").begun_after(half_loaded(), now)
    assert begun.is_ours(MADE)
    assert not begun.is_ours(THEIRS)
    assert begun.kept == {**SET_ASIDE, f"ledger_aside_{LATER}": THEIRS}


def test_what_somebody_has_put_back_by_hand_is_set_aside_once_more() -> None:
    begun = mark(LATER).begun_after(half_loaded(), {"shop": SHOP, "ledger": MADE})
    assert (begun.stamp, begun.kept, begun.made) == (STAMP, SET_ASIDE, (MADE,))
    all_back = mark(LATER).begun_after(half_loaded(), {"shop": SHOP, "ledger": LEDGER})
    assert all_back.kept == {f"shop_aside_{LATER}": SHOP, f"ledger_aside_{LATER}": LEDGER}
    assert not all_back.made


def test_what_was_proven_is_production_data_for_another_recovery() -> None:
    begun = mark(LATER).begun_after(half_loaded(proven=NOW), {"shop": MADE})
    assert not begun.made
    assert begun.stamp == LATER
    assert begun.kept == {**SET_ASIDE, f"shop_aside_{LATER}": MADE}
    ended = mark(LATER).begun_after(half_loaded(proven=NOW, finished=NOW), {"shop": MADE})
    assert ended.kept == {f"shop_aside_{LATER}": MADE}


def test_what_is_set_aside_is_needed_until_the_recovery_has_come_to_its_end() -> None:
    assert half_loaded().needs(SHOP)
    assert half_loaded(proven=NOW).needs(SHOP)
    assert not half_loaded().needs(MADE)
    assert not half_loaded(finished=NOW).needs(SHOP)


def test_one_name_that_is_gone_since_the_proof_is_no_reason_to_load_all_anew() -> None:
    after, one_left = {"shop": MADE, "ledger": MADE + 1}, {"shop": MADE}
    assert half_loaded(after=after).is_in_place(after)
    assert not half_loaded(after=after).is_in_place(one_left)
    assert half_loaded(after=after, proven=NOW).is_in_place(one_left)
    assert not half_loaded(after=after, proven=NOW).is_in_place({"shop": SHOP})


def test_a_recovery_went_back_when_all_that_was_aside_stands_there_again() -> None:
    assert half_loaded().went_back({"shop": SHOP, "ledger": LEDGER})
    assert not half_loaded().went_back({"shop": SHOP, "ledger": MADE})
    assert not mark().went_back({})


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=80))
def test_the_name_of_what_is_set_aside_fits_into_a_name_of_postgresql(name: str) -> None:
    aside = aside_name(name, STAMP)
    assert len(aside.encode()) <= 63
    assert aside.endswith(f"_aside_{STAMP}")
    assert name.startswith(aside.removesuffix(f"_aside_{STAMP}"))


def test_a_name_is_quoted() -> None:
    assert identifier('a"b') == '"a""b"'


def test_an_expected_error_must_be_a_regular_expression() -> None:
    with pytest.raises(ValueError, match="is no regular expression"):
        RecoverySettings(expected_errors=("(",))
