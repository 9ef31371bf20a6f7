"""Finds out who hands over to whom, from the servers and repmgr's metadata alone."""

from __future__ import annotations

from collections.abc import Mapping

from runbook.cluster import Cluster
from runbook.errors import CheckFailed, Refused, Unreachable
from runbook.postgres import Node
from runbook.replication.ending import stopped_state
from runbook.replication.handover import Handover, Mode
from runbook.replication.members import Member, leaders, members, repmgr_of
from runbook.replication.roster import Knowledge, knowledge, roster
from runbook.replication.survey import Survey, survey
from runbook.units import Lsn


def observed(cluster: Cluster, to: str, mode: Mode) -> Handover:
    """Find out who hands over to whom, from the servers and repmgr's metadata alone."""
    for node in cluster.nodes:
        repmgr_of(node)
    if to:
        cluster.node(to)
    seen = survey(cluster)
    if not seen.writable:
        return _without_a_primary(cluster, seen, to, mode)
    writer = seen.only_writer()
    read = knowledge(writer)
    rows = roster(cluster.nodes, read.members, (*seen.writable, *seen.standbys))
    mine, last = rows.get(writer.name), next(iter(read.promotions), None)
    half_done = mine is not None and (mine.type != "primary" or not mine.active)
    by_name = mine is not None and last is not None and last.node_id == mine.node_id
    if (half_done or by_name) and to in ("", writer.name):
        at = last.at if last is not None and not half_done else ""
        old = _former(cluster, read, rows, writer)
        in_reach = old is None or seen.reaches(old)
        return Handover(
            cluster, mode, writer, old, seen, read.members, rows, True, at, reachable=in_reach
        )
    if mode == "failover":
        raise _not_gone(writer)
    new = _successor(cluster, seen, to, rows)
    return Handover(cluster, "planned", new, writer, seen, read.members, rows)


def _successor(cluster: Cluster, seen: Survey, to: str, rows: Mapping[str, Member]) -> Node:
    if to in {node.name for node in seen.writable}:
        raise CheckFailed(
            f"{to} is the primary already",
            detail=seen.told,
            hint="Name the standby that is to take over.",
        )
    return cluster.node(to) if to else _healthiest(seen, rows)


def _healthiest(seen: Survey, rows: Mapping[str, Member]) -> Node:
    """Give the streaming standby of the highest priority; positions change while one looks."""
    fit = [
        node
        for node in seen.standbys
        if seen.state(node).streams and not seen.state(node).replay_paused and node.name in rows
    ]
    fit = [node for node in fit if rows[node.name].priority > 0 and rows[node.name].active]
    if not fit:
        raise CheckFailed(
            "no standby can take over",
            detail=seen.told,
            hint="A standby must stream, replay and be registered with a priority above 0.",
        )
    return max(fit, key=lambda node: rows[node.name].priority)


def _most_advanced(seen: Survey) -> Node:
    if not seen.standbys:
        raise Unreachable(
            "no standby answers",
            detail=seen.told,
            hint="Start a standby, or restore the cluster from a backup: cluster-restore.",
        )
    return max(seen.standbys, key=lambda node: _history(seen, node))


def _history(seen: Survey, node: Node) -> tuple[int, Lsn]:
    """Order by timeline first: further on an older one is another history."""
    return seen.state(node).timeline, seen.state(node).reached


def _without_a_primary(cluster: Cluster, seen: Survey, to: str, mode: Mode) -> Handover:
    new = cluster.node(to) if to else _most_advanced(seen)
    seen.state(new)
    known = members(new)
    rows = roster(cluster.nodes, known, seen.standbys)
    if not to:
        new = _ranked(seen, rows, new)
    primaries = leaders(known)
    old = _node_of(cluster, rows, primaries[0]) if len(primaries) == 1 else None
    if old is None:
        raise CheckFailed(
            f"the metadata on {new} name no primary that the settings know",
            detail=f"primaries there: {', '.join(row.name for row in primaries) or 'none'}",
            hint="Compare `repmgr cluster show` on every node with the nodes of the settings.",
        )
    if old.name not in {node.name for node in seen.silent}:
        raise CheckFailed(
            f"the metadata on {new} say that {old} is the primary, and it is not",
            detail=seen.told,
            hint="The metadata are stale. Find out which server was the primary last.",
        )
    if mode == "planned":
        _insist_on_clean_stop(old)
    begun = mode == "planned"
    in_reach = seen.reaches(old)
    return Handover(cluster, mode, new, old, seen, known, rows, begun=begun, reachable=in_reach)


def _ranked(seen: Survey, rows: Mapping[str, Member], furthest: Node) -> Node:
    """Of those that have come as far as any, give the one with the highest priority.

    While standbys still receive, their positions move, and all of them come as far.
    """
    timeline, most = _history(seen, furthest)
    level = [
        node
        for node in seen.standbys
        if seen.state(node).timeline == timeline
        and (seen.state(node).streams or seen.state(node).reached == most)
    ]
    fit = [node for node in level if node.name in rows and rows[node.name].priority > 0]
    return max(fit, key=lambda node: rows[node.name].priority) if fit else furthest


def _former(
    cluster: Cluster, read: Knowledge, rows: Mapping[str, Member], writer: Node
) -> Node | None:
    """Find the primary before `writer`: repmgr leaves its row as an inactive primary's."""
    mine = rows[writer.name].node_id
    former = [row for row in read.members if row.type == "primary" and row.node_id != mine]
    order = [promotion.node_id for promotion in read.promotions]
    former.sort(key=lambda row: order.index(row.node_id) if row.node_id in order else len(order))
    return _node_of(cluster, rows, former[0]) if former else None


def _node_of(cluster: Cluster, rows: Mapping[str, Member], row: Member) -> Node | None:
    for node in cluster.nodes:
        if node.name in rows and rows[node.name].node_id == row.node_id:
            return node
    return None


def _insist_on_clean_stop(old: Node) -> None:
    hint = "If it is gone: start with mode=failover, which fences it first."
    try:
        control = stopped_state(old)
    except Unreachable as error:
        raise CheckFailed(
            f"the primary {old} does not answer, and its host cannot be asked why",
            detail=error.detail or error.message,
            hint=hint,
        ) from error
    if control is None or control.state != "shut down":
        state = control.state if control else "a server runs there and does not answer"
        raise CheckFailed(
            f"the primary {old} does not answer, and was not stopped cleanly",
            detail=f"its data directory says: {state}",
            hint=hint,
        )


def _not_gone(writer: Node) -> Refused:
    return Refused(
        f"{writer} answers and accepts writes: this is no failover",
        detail="a second primary beside it would be a split brain",
        hint="Hand over in good order with mode=planned. If nobody can use it although it answers, "
        "stop it or cut it off first.",
    )
