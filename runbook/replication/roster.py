"""Which row of repmgr's metadata is which node of the settings, and who was promoted when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel, ConfigDict

from runbook.errors import Unreachable
from runbook.postgres import Node
from runbook.replication.members import MEMBERS, Member, node_id, repmgr_of

# repmgrd promotes through the same command, so that its promotions are here too.
_KNOWN = f"""
SELECT (SELECT json_agg(m) FROM ({MEMBERS}) AS m) AS members,
  (SELECT json_agg(p) FROM (
    SELECT node_id, event_timestamp::timestamptz(0)::text AS at FROM repmgr.events
    WHERE event = 'standby_promote' AND successful ORDER BY event_timestamp DESC LIMIT 20) AS p
  ) AS promotions
"""


class Promotion(BaseModel):
    """A promotion that repmgr has written down: which node, and when."""

    model_config = ConfigDict(frozen=True)
    node_id: int
    at: str


class Knowledge(BaseModel):
    """What one server's copy of the metadata holds; the newest promotion comes first."""

    model_config = ConfigDict(frozen=True)
    members: tuple[Member, ...] = ()
    promotions: tuple[Promotion, ...] = ()


def knowledge(node: Node) -> Knowledge:
    """Read the metadata that a running node has, in one query."""
    row = node.ask(_KNOWN, database=repmgr_of(node).database)[0]
    return Knowledge.model_validate({name: rows or () for name, rows in row.items()})


def roster(
    nodes: Iterable[Node], known: Iterable[Member], answering: Iterable[Node]
) -> Mapping[str, Member]:
    """Find the row of each node, by the node's name; nodes without a row are left out.

    A node that answers is known by the id in its repmgr.conf, another one by its address or name.
    """
    rows = tuple(known)
    alive = {node.name for node in answering}
    every = tuple(nodes)
    with ThreadPoolExecutor(max_workers=len(every)) as pool:
        found = pool.map(lambda node: _row(node, rows, ask=node.name in alive), every)
    return {node.name: row for node, row in zip(every, found, strict=True) if row is not None}


def _row(node: Node, rows: tuple[Member, ...], *, ask: bool) -> Member | None:
    if ask:
        try:
            wanted = node_id(node)
        except Unreachable:
            return _by_place(node, rows)
        return next((row for row in rows if row.node_id == wanted), None)
    return _by_place(node, rows)


def _by_place(node: Node, rows: tuple[Member, ...]) -> Member | None:
    by_address = [row for row in rows if row.address == f"{node.address}:{node.port}"]
    by_name = [row for row in rows if row.name == node.name]
    return next(iter((*by_address, *by_name)), None)
