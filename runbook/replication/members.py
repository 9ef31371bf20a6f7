"""repmgr's metadata: who it believes belongs to the cluster, and in which role."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel, ConfigDict

from runbook.cluster import Cluster
from runbook.errors import CheckFailed, SettingsError
from runbook.postgres import Node
from runbook.postgres.repmgr import Repmgr

MEMBERS = """
SELECT node_id, node_name AS name, type, upstream_node_id AS upstream, active, priority, conninfo,
       slot_name
FROM repmgr.nodes ORDER BY node_id
"""
_NODE_ID = r"s/^[[:space:]]*node_id[[:space:]]*=[[:space:]]*'\{0,1\}\([0-9]\{1,\}\).*/\1/p"


class Member(BaseModel):
    """A row of repmgr.nodes: `type` is primary, standby or witness."""

    model_config = ConfigDict(frozen=True)
    node_id: int
    name: str
    type: str
    upstream: int | None
    active: bool
    priority: int = 100
    conninfo: str
    slot_name: str | None

    @property
    def address(self) -> str:
        """Give the host and port that repmgr reaches the node at."""
        parts = conninfo_to_dict(self.conninfo)
        return f"{parts.get('host') or parts.get('hostaddr') or ''}:{parts.get('port') or 5432}"


def repmgr_of(node: Node) -> Repmgr:
    """Give the node's repmgr settings; SettingsError when it has none."""
    if node.repmgr is None:
        raise SettingsError(
            f"node {node} has no repmgr in its settings",
            hint="Add to the node: repmgr: {configuration: /etc/repmgr.conf}.",
        )
    return node.repmgr


def repmgr_program(node: Node) -> str:
    """Give the path of repmgr on a node."""
    return repmgr_of(node).program or node.program("repmgr")


def members(node: Node) -> tuple[Member, ...]:
    """Read the copy of the metadata that a running node has: each node has its own."""
    rows = node.ask(MEMBERS, database=repmgr_of(node).database)
    return tuple(Member.model_validate(row) for row in rows)


def leaders(rows: Iterable[Member]) -> tuple[Member, ...]:
    """Give the rows of active primaries: one, where the metadata are right."""
    return tuple(row for row in rows if row.type == "primary" and row.active)


def node_id(node: Node) -> int:
    """Read the node's id from its repmgr.conf; the server need not run."""
    path = repmgr_of(node).configuration
    said = node.host.read("sed", "-n", _NODE_ID, path, user=node.os_user).split()
    if not said:
        raise CheckFailed(
            f"{path} on {node.host} has no node_id",
            hint=f"Is it the repmgr.conf of node {node}? Each node needs an id of its own.",
        )
    return int(said[-1])


def strangers(cluster: Cluster, known: Iterable[Member]) -> tuple[Member, ...]:
    """Give the members that no node of the settings is: the plan must not act without them."""
    ids = {node_id(node) for node in cluster.nodes}
    return tuple(member for member in known if member.node_id not in ids and member.active)
