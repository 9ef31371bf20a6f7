"""What counts as a difference between a dump and what was loaded from it."""

from __future__ import annotations

from runbook.logical.load.contents import Database, Table
from runbook.logical.recovery.comparison import compared, unexpected

_NOTHING_ELSE = {"large": "0", "bytes": "0"}


def told(rows: int, **seen: str) -> list[str]:
    """Compare a table of a dump that has so many rows there."""
    table = Table("public.spatial_ref_sys", rows, 0)
    shop = Database("shop", True, (table,), {}, 0, (), ())
    return list(compared(shop, {**_NOTHING_ELSE, **seen}))


def test_more_or_fewer_rows_than_in_the_dump_are_told() -> None:
    assert not told(3, **{"0": "3"})
    assert told(3, **{"0": "4"}) == ["public.spatial_ref_sys has 4 rows, the backup 3"]
    assert told(3, **{"0": "2"})


def test_what_an_extension_itself_brings_into_its_tables_is_no_difference() -> None:
    of_extension = {"cpublic.spatial_ref_sys": "1"}
    assert not told(0, **{"0": "8500", **of_extension})
    assert told(3, **{"0": "2", **of_extension})


def test_a_difference_that_was_named_as_harmless_is_not_told() -> None:
    found = ["shop: public.t has 4 rows, the backup 3", "shop: extension x is missing"]
    assert unexpected(found, (r"public\.t has \d+ rows",)) == found[1:]
    assert unexpected(found, ()) == found
