"""repmgr's view of the whole cluster, kept with the result of the run."""

from __future__ import annotations

from runbook import check
from runbook.cluster import Cluster
from runbook.postgres import Node
from runbook.replication.members import leaders, members
from runbook.replication.topology import cluster_show, topology
from runbook.run import current
from tasks._task import task


@task("repmgr cluster show on {node}")
def show(cluster: Cluster, node: Node) -> None:
    """Insist that repmgr sees one primary, this node, and keep the table.

    Its exit code is no judge: it stays 25 until the old primary is rejoined or unregistered.
    """
    check(
        f"repmgr on {node} shows it as the only primary",
        lambda: _primaries(node) == [_own_id(node)],
        seen=lambda: f"primaries: {_primaries(node)}, {node} has id {_own_id(node)}",
        hint="A second reachable primary is a split brain: stop it and keep its data.",
    )
    if not current().planning:
        current().watcher.finished("repmgr cluster show", topology(cluster, node))


def _primaries(node: Node) -> list[int]:
    shown = cluster_show(node)
    return [number for number, each in shown.items() if each.reachable and not each.in_recovery]


def _own_id(node: Node) -> int:
    return next(row.node_id for row in leaders(members(node)))
