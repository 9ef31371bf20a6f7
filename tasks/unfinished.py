"""What an unfinished recovery or restore has left: no backup may take it for the whole data."""

from __future__ import annotations

from contextlib import suppress

from runbook import check, note
from runbook.cluster import Cluster
from runbook.components.standing import standing
from runbook.components.statements import opening
from runbook.errors import CommandFailed, Damaged, Unreachable
from runbook.logical.recovery.databases import databases
from runbook.logical.recovery.mark import path, read_mark
from runbook.postgres import Node
from tasks._task import task


@task("see that no recovery or restore of {cluster} is half done")
def nothing_half_done(cluster: Cluster, *sources: Node) -> None:
    """Insist that what a dump of the primary, or of `sources`, would hold is all of the data."""
    if cluster.logical is None and cluster.components is None:
        return  # nothing recovers or restores databases of it
    writing = (node for node in cluster.nodes if node.accepts_writes())
    found = {node.name: node.located() for node in (*sources, *writing)}
    for node in found.values():
        try:
            if cluster.logical is not None:
                _is_recovered(node)
            _is_open(node)
        except (CommandFailed, Unreachable) as error:
            if sources:
                raise
            note(f"{node} cannot be asked: {error.message}")  # somebody else makes the backup


@task("tell whether a recovery on {node} is half done")
def told(cluster: Cluster, node: Node) -> None:
    """Say what a backup of all files holds then: everything, but not under its name."""
    if cluster.logical is None:
        return
    primary = next((each for each in cluster.nodes if each.accepts_writes()), node)
    with suppress(Damaged, CommandFailed, Unreachable):  # no reason to have no backup of the files
        if backup := _half_done(primary.located()):
            note(
                f"the recovery of {backup} on {primary} is half done, and so it is in this backup: "
                "the databases of before stand there as NAME_aside_MOMENT, without its mark"
            )


def _half_done(node: Node) -> str:
    """Name the backup whose recovery has not proven yet what it has loaded; empty: none."""
    mark = read_mark(node)
    if mark is None:
        return ""
    now = {name: each.oid for name, each in databases(node).items()}
    return mark.backup if mark.is_half_done(now) else ""


def _is_recovered(node: Node) -> None:
    backup = _half_done(node)
    check(
        f"no recovery of databases on {node} is half done",
        lambda: not backup,
        seen=lambda: f"that of {backup} has not opened what it has loaded",
        hint="A backup of it could hold half of the data, and would be the newest. Bring the "
        "recovery to its end (logical-recovery), or go back by hand as its page tells; if what "
        f"stands there is right all the same, remove {path(node)} on {node.host}.",
    )


def _is_open(node: Node) -> None:
    """Insist that no restore keeps a database closed: pg_dumpall passes it over in silence."""
    closed = [one.name for one in standing(node).values() if one.closed_by_us]
    check(
        f"no restore keeps a database of {node} closed",
        lambda: not closed,
        seen=lambda: f"a component-restore has closed {', '.join(closed)}, and not ended",
        hint="A dump of all would miss it. Start component-restore of it again; or give it up, in "
        f"psql on {node}: {'; '.join(map(opening, closed))}",
    )
