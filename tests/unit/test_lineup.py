"""Which node becomes the primary of a restored cluster, and what its metadata must say."""

from __future__ import annotations

import pytest

from runbook.cluster import Backups, Cluster
from runbook.errors import CheckFailed, RunbookError, SettingsError
from runbook.hosts import Host
from runbook.postgres import Node
from runbook.replication.lineup import Found, Lineup, line_up
from runbook.replication.members import Member
from runbook.replication.metadata import Metadata
from runbook.replication.server import ServerState

A, B, C = (
    Node(name=name, host=Host(name=name), data_directory="/data", bin_directory="/bin")
    for name in ("a", "b", "c")
)
CLUSTER = Cluster(name="abc", nodes=(A, B, C), backups=Backups(store="store"))


def writes(node: Node) -> Found:
    return Found(node, state=ServerState(in_recovery=False, system_identifier="1", timeline=1))


def follows(node: Node) -> Found:
    return Found(node, state=ServerState(in_recovery=True, system_identifier="1", timeline=1))


def lined_up(*found: Found, primary: str = "", without: tuple[str, ...] = ()) -> Lineup:
    return line_up(CLUSTER, found, primary, without)


def test_the_one_that_accepts_writes_is_the_primary() -> None:
    nodes = lined_up(follows(A), writes(B), Found(C))
    assert (nodes.primary, nodes.standbys, nodes.left_out) == (B, (A, C), ())
    assert nodes.stopped == (B, A, C)


def test_nobody_is_guessed_when_all_are_down() -> None:
    with pytest.raises(CheckFailed, match="no nodes accept writes"):
        lined_up(Found(A), follows(B), Found(C))
    assert lined_up(Found(A), follows(B), Found(C), primary="c").primary == C


def test_nobody_is_guessed_when_two_accept_writes() -> None:
    with pytest.raises(CheckFailed, match="2 nodes accept writes"):
        lined_up(writes(A), writes(B), Found(C))
    assert lined_up(writes(A), writes(B), Found(C), primary="b").primary == B


def test_a_restore_that_was_begun_goes_on_at_its_node() -> None:
    assert lined_up(Found(A), Found(B, begun=True), Found(C)).primary == B
    assert lined_up(writes(A), Found(B, begun=True), Found(C)).primary == A
    with pytest.raises(CheckFailed):
        lined_up(Found(A, begun=True), Found(B, begun=True), Found(C))


@pytest.mark.parametrize("name", ["b", "c", "nobody"])
def test_a_living_primary_is_not_passed_over(name: str) -> None:
    with pytest.raises(RunbookError):
        lined_up(writes(A), follows(B), follows(C), primary=name)


def test_a_node_that_was_left_out_is_never_the_primary() -> None:
    nodes = lined_up(writes(A), follows(B), follows(C), primary="b", without=("a",))
    assert (nodes.primary, nodes.standbys, nodes.left_out) == (B, (C,), (A,))
    assert nodes.stopped == (B, C, A)
    gone = Found(A, unreachable="cannot reach a")
    assert lined_up(gone, writes(B), Found(C), without=("a",)).stopped == (B, C)
    with pytest.raises(SettingsError):
        lined_up(writes(A), follows(B), follows(C), primary="a", without=("a",))


METADATA = Metadata(A, {"a": 1, "b": 2}, frozenset({"c"}))


def row(number: int, name: str, kind: str, upstream: int | None, *, active: bool = True) -> Member:
    conninfo = f"host={name} user=repmgr dbname=repmgr"
    return Member(
        node_id=number,
        name=name,
        type=kind,
        upstream=upstream,
        active=active,
        conninfo=conninfo,
        slot_name=None,
    )


RIGHT = (
    row(1, "a", "primary", None),
    row(2, "b", "standby", 1),
    row(3, "c", "standby", 1, active=False),
    row(7, "w", "witness", 1),
)


def test_metadata_that_are_right_have_nothing_wrong() -> None:
    assert METADATA.wrong(RIGHT) == ()
    assert METADATA.strangers(RIGHT) == ()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (row(1, "a", "standby", 2), "does not stand there as such"),
        (row(1, "a", "primary", None, active=False), "does not stand there as such"),
        (row(2, "b", "primary", None), "not stand there as a standby of the primary"),
        (row(2, "b", "standby", 3), "not stand there as a standby of the primary"),
        (row(3, "c", "standby", 1), "is left out and stands there as active"),
        (row(9, "ghost", "standby", 1), "is in no settings"),
    ],
)
def test_metadata_that_are_wrong_are_told(wrong: Member, said: str) -> None:
    rows = {**{each.node_id: each for each in RIGHT}, wrong.node_id: wrong}
    (told,) = METADATA.wrong(tuple(rows.values()))
    assert said in told


def test_a_primary_without_a_row_is_told() -> None:
    assert METADATA.wrong(RIGHT[1:]) == ("no row of the primary",)
