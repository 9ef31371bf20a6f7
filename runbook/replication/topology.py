"""The cluster as a table: what repmgr shows, beside what every server says itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runbook.cluster import Cluster
from runbook.postgres import Node
from runbook.replication.members import Member, members, repmgr_of, repmgr_program
from runbook.replication.roster import roster
from runbook.replication.survey import Seen, survey
from runbook.tools import repmgr

_HEAD = ("id", "node", "role", "upstream", "timeline", "position", "repmgr")


@dataclass(frozen=True)
class Shown:
    """What `repmgr cluster show` says of a node: is it reachable, and in recovery?"""

    reachable: bool
    in_recovery: bool | None

    def __str__(self) -> str:
        if not self.reachable:
            return "unreachable"
        return {True: "standby", False: "primary", None: "unknown"}[self.in_recovery]


def cluster_show(node: Node) -> Mapping[int, Shown]:
    """Ask repmgr on a node; exit code 25 only says that something is not as the metadata have it.

    Ref.: repmgr documentation, repmgr cluster show
    """
    command = repmgr.cluster_show(
        repmgr_program(node), repmgr_of(node).configuration, user=node.os_user
    )
    lines = re.findall(r"^(\d+),(-?\d+),(-?\d+)$", node.host.run(command).stdout, re.MULTILINE)
    return {
        int(number): Shown(there == "0", {"0": False, "1": True}.get(role))
        for number, there, role in lines
    }


def topology(cluster: Cluster, node: Node) -> str:
    """Give the cluster as a Markdown table, as seen from a running node."""
    seen, known, shown = survey(cluster), members(node), cluster_show(node)
    rows = roster(cluster.nodes, known, (*seen.writable, *seen.standbys))
    by_id = {row.node_id: row.name for row in known}
    lines = [
        _line(each, rows.get(each.node.name), by_id, shown)
        for each in sorted(seen.seen, key=lambda each: each.node.name)
    ]
    return "\n".join([_cells(_HEAD), _cells(("---",) * len(_HEAD)), *lines])


def _line(
    seen: Seen, row: Member | None, names: Mapping[int, str], shown: Mapping[int, Shown]
) -> str:
    state = seen.state
    role = "no answer" if state is None else "standby" if state.in_recovery else "primary"
    upstream = names.get(row.upstream, "") if row is not None and row.upstream else ""
    return _cells(
        (
            str(row.node_id) if row else "not registered",
            str(seen.node),
            role,
            upstream if role == "standby" else "",
            str(state.timeline) if state else "",
            str(state.reached) if state else "",
            str(shown.get(row.node_id, "not shown")) if row else "not shown",
        )
    )


def _cells(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
