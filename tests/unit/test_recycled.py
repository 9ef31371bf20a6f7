"""The hint for WAL that is gone: in any language of the server, and for nothing else."""

from __future__ import annotations

import pytest

from runbook.backups.recycled import advice

SEGMENT = "0000000100000A7B000000C2"


@pytest.mark.parametrize(
    "said",
    [
        f"requested WAL segment {SEGMENT} has already been removed",
        f"das angeforderte WAL-Segment {SEGMENT} wurde schon entfernt",
        "pg_basebackup: error: could not read COPY data: ERROR:  requested WAL segment "
        f"{SEGMENT} has already been removed\npg_basebackup: removing data directory",
    ],
)
def test_wal_that_is_gone_is_known_in_every_language(said: str) -> None:
    assert advice(said, "pg1").startswith("Raise wal_keep_size on pg1, ")


@pytest.mark.parametrize(
    "said",
    [
        "",
        "terminating connection due to administrator command",
        f'could not open file "pg_wal/{SEGMENT}": Permission denied',
        f'unexpected WAL file size "{SEGMENT}"',
    ],
)
def test_other_troubles_have_other_hints(said: str) -> None:
    assert advice(said, "pg1") == ""
