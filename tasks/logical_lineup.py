"""The primary of a logical recovery: the node that accepts writes, and the way to one."""

from __future__ import annotations

from collections.abc import Sequence

from runbook import check
from runbook.cluster import Cluster
from runbook.errors import RunbookError
from runbook.logical.recovery.mark import read_mark
from runbook.logical.settings import LogicalBackups
from runbook.postgres import Node
from runbook.replication.lineup import Found, Lineup, NoPrimary
from tasks import lineup
from tasks._task import task

_LOOKUP = 'getent ahosts "$1" || true'


def choose(cluster: Cluster, settings: LogicalBackups, without: str) -> Lineup:
    """Look at every node; the primary is the one that accepts writes, and no other will do."""
    try:
        nodes = lineup.choose(cluster, "", without)
    except NoPrimary as error:
        error.hint = _way_to_a_primary(error.found)
        raise
    _is_primary(nodes.primary, settings.recovery.alias)
    return nodes


def _way_to_a_primary(found: Sequence[Found]) -> str:
    """Say what makes one primary; where a recovery was begun, its node is the one."""
    again = "then start the runbook again. Nothing was changed by this run."
    if any(seen.writable for seen in found):
        return f"Find out which one is right, and stop the others; {again}"
    begun = [str(seen.node) for seen in found if _has_begun(seen)]
    if len(begun) != 1:
        return f"Start PostgreSQL on the node that was the primary, or promote a standby; {again}"
    return (
        f"A recovery was begun on {begun[0]} and the databases of before stand aside there: make "
        f"room where its disk is full, start PostgreSQL there, {again} If it cannot start any "
        f"more: promote a standby, which has the databases of before, and say without={begun[0]}."
    )


def _has_begun(seen: Found) -> bool:
    try:
        mark = None if seen.unreachable else read_mark(seen.node)
    except RunbookError:  # only a hint depends on it
        return False
    return mark is not None and mark.finished is None


@task("check that {node} is the primary")
def _is_primary(node: Node, alias: str) -> None:
    check(
        f"{node} accepts writes",
        node.accepts_writes,
        hint="A recovery needs a running primary. Promote a standby, or start the primary.",
    )
    if alias:
        check(
            f"{alias} leads to {node}",
            lambda: bool(_addresses(node, alias) & _own(node)),
            seen=lambda: f"it leads to {', '.join(sorted(_addresses(node, alias))) or 'nowhere'}",
            hint="Applications would come to another server. Correct the alias, or the settings.",
        )


def _addresses(node: Node, name: str) -> set[str]:
    said = node.host.read("sh", "-c", _LOOKUP, "lookup", name)
    return {line.split()[0] for line in said.splitlines() if line.strip()}


def _own(node: Node) -> set[str]:
    return _addresses(node, node.address) | set(node.host.read("hostname", "-I").split())
