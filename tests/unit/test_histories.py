"""Where two timeline histories part, and what repmgr.conf says."""

from __future__ import annotations

import pytest

from runbook.postgres.state import ControlData
from runbook.replication.configuration import parsed
from runbook.replication.divergence import Divergence
from runbook.replication.history import Ancestor, parted
from runbook.replication.returning import Way, way_of
from runbook.stream.segments import segment_of
from runbook.units import Lsn


def history(*steps: tuple[int, str | None]) -> list[Ancestor]:
    return [Ancestor(timeline, Lsn(end) if end else None) for timeline, end in steps]


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ([(1, None)], [(1, None)], None),
        ([(1, None)], [(1, "0/500"), (2, None)], "0/500"),
        ([(1, "0/500"), (2, None)], [(1, "0/500"), (2, "0/900"), (3, None)], "0/900"),
        ([(1, "0/500"), (2, None)], [(1, "0/500"), (3, None)], "0/500"),
        ([(1, "0/700"), (2, None)], [(1, "0/500"), (2, None)], "0/500"),
        ([(1, "0/300"), (2, None)], [(1, None)], "0/300"),
    ],
)
def test_histories_part_where_the_last_common_timeline_ends(
    mine: list[tuple[int, str | None]], theirs: list[tuple[int, str | None]], expected: str | None
) -> None:
    found = parted(history(*mine), history(*theirs))
    assert (str(found) if found else None) == expected


def control(state: str, *, rewindable: bool = True) -> ControlData:
    return ControlData(
        state=state,
        system_identifier="1",
        timeline=1,
        checkpoint=Lsn("0/100"),
        rewindable=rewindable,
    )


def alone(fork: str | None, end: str) -> Divergence:
    return Divergence(1, Lsn(fork) if fork else None, Lsn(end))


def test_a_history_that_nobody_knows_is_cloned_and_never_called_nothing() -> None:
    unknown = Divergence(2, None, Lsn("0/500"), gone="its .history file is missing")
    assert unknown.diverged
    assert unknown.told == "COMMITS THAT NOBODY CAN COUNT (its .history file is missing)"
    stopped = control("shut down in recovery")
    assert way_of(stopped, unknown, running=False) is Way.CLONE


@pytest.mark.parametrize(
    ("state", "fork", "end", "running", "rewindable", "way"),
    [
        ("shut down", "0/500", "0/500", False, True, Way.PLAIN),
        ("shut down", "0/500", "0/501", False, True, Way.REWIND),
        ("shut down", "0/500", "0/501", False, False, Way.CLONE),
        ("shut down", None, "0/500", False, True, Way.CLONE),
        ("shut down in recovery", None, "0/500", False, True, Way.PLAIN),
        ("in archive recovery", None, "0/500", False, True, Way.CLONE),
        ("in production", "0/500", "0/500", False, True, Way.REWIND),
        ("in production", "0/500", "0/400", False, True, Way.CLONE),
        ("in production", "0/500", "0/500", True, True, Way.REWIND),
        ("in archive recovery", "0/500", "0/400", True, True, Way.PLAIN),
    ],
)
def test_the_way_back(
    state: str, fork: str | None, end: str, running: bool, rewindable: bool, way: Way
) -> None:
    seen = control(state, rewindable=rewindable)
    assert way_of(seen, alone(fork, end), running=running) is way


def test_the_file_that_holds_a_position() -> None:
    assert segment_of(2, Lsn("1/FF000028"), 16 << 20) == "0000000200000001000000FF"
    assert segment_of(1, Lsn("0/6000000"), 64 << 20) == "000000010000000000000001"


def test_repmgr_conf_is_read_as_repmgr_does() -> None:
    text = """
# node_id=9
node_id=2
node_name = 'it''s'   # a comment
data_directory='/data/main/'
use_replication_slots = yes
tablespace_mapping = '/a=/b'
tablespace_mapping='/c/=/d'
"""
    found = parsed("/etc/repmgr.conf", text)
    assert (found.node_id, found.node_name, found.data_directory) == (2, "it's", "/data/main")
    assert found.uses_slots
    assert dict(found.mapping) == {"/a": "/b", "/c": "/d"}
    assert found.slot == "repmgr_slot_2"
