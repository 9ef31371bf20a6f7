"""What a run has left out on purpose is no finding; everything else still is."""

from __future__ import annotations

from runbook.cluster import Backups, Cluster
from runbook.health.scope import Scope, is_only_about
from runbook.hosts import Host, Local
from runbook.postgres import Node
from runbook.replication.members import Member


def node(name: str, address: str) -> Node:
    return Node(name=name, host=Host(name=name, way=Local()), address=address)


def member(number: int, name: str, address: str) -> Member:
    return Member(
        node_id=number,
        name=name,
        type="standby",
        upstream=1,
        active=True,
        conninfo=f"host={address} port=5432",
        slot_name=None,
    )


NODES = (node("a", "10.0.0.1"), node("b", "10.0.0.2"), node("c", "10.0.0.3"))
SCOPE = Scope.of(Cluster(name="shop", nodes=NODES, backups=Backups(store="store")), NODES[:2])


def test_who_does_not_serve_is_left_out_and_known_by_name_or_by_address() -> None:
    assert [str(one) for one in SCOPE.left_out] == ["c"]
    assert [one.name for one in SCOPE.serving.nodes] == ["a", "b"]
    rows = [
        member(1, "a", "10.0.0.1"),
        member(2, "pg-b", "10.0.0.2"),
        member(3, "pg-c", "10.0.0.3"),
        member(4, "c", "192.168.0.3"),
    ]
    assert SCOPE.ids(rows) == {3, 4}


def test_only_what_repmgr_says_of_those_alone_is_no_finding() -> None:
    out = frozenset((3, 4))
    assert is_only_about('unable to connect to node "c" (ID: 3)', out)
    assert is_only_about("2 of 3 downstream nodes not attached; missing: c (ID: 3), d (ID: 4)", out)
    assert not is_only_about("2 of 3 not attached; missing: b (ID: 2), c (ID: 3)", out)
    assert not is_only_about("WAL replay is paused", out)
    assert not is_only_about('unable to connect to node "c" (ID: 3)', frozenset())
