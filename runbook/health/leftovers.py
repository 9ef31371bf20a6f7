"""Findings about what runs have left that were interrupted and never started again."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.cluster import Cluster
from runbook.components.standing import standing
from runbook.errors import RunbookError, Unreachable
from runbook.health.finding import Finding, Level, found
from runbook.logical.recovery.mark import read_mark as read_recovery_mark
from runbook.postgres import Node
from runbook.replication.half_rejoin import HalfRejoin
from runbook.restore.kept import half_undone
from runbook.restore.marks import read_mark
from runbook.restore.outage import StopClock
from runbook.restore.place import Place, look, whole_place
from runbook.restore.remains import half_restored

WHAT = "left by an interrupted run"
_AGAIN = "Start {} again, with the same options, to bring it to its end."


def leftover_findings(cluster: Cluster, node: Node) -> Iterator[Finding]:
    """Look for what a run would have taken away at its end; each with the run that goes on."""
    try:
        left = _left(cluster, node.located())
    except Unreachable:
        return  # that its server or its host does not answer is a finding already
    except RunbookError as error:
        yield found(Level.WARNING, str(node), WHAT, f"not known: {error.message}", error.hint)
        return
    for seen, hint in left:
        yield found(Level.WARNING, str(node), WHAT, seen, hint)
    if not left:
        yield found(Level.OK, str(node), WHAT, "nothing")


def _left(cluster: Cluster, node: Node) -> list[tuple[str, str]]:
    """Give what was found, each with what to do."""
    place = whole_place(look(node.host, node.data_directory, node.os_user))
    return [
        *_of_a_restore(cluster, node, place),
        *_of_a_rejoin(node, place),
        *_of_a_recovery(node),
        *(_of_the_server(cluster, node) if node.accepts_connections() else ()),
    ]


def _of_a_restore(cluster: Cluster, node: Node, place: Place) -> Iterator[tuple[str, str]]:
    restoring = "instance-restore" if cluster.single else "cluster-restore"
    undone = half_undone(node)
    if undone:
        run = f"instance-restore-undo with stamp={undone}"
        yield f"what was set aside at {undone} is half put back", _AGAIN.format(run)
    mark = read_mark(node.host, place.live, node.os_user)
    by = StopClock(node.host, node.os_user, place.stopped).started_by()
    half = half_restored(node)
    if half is not None:
        run = f"{restoring} with backup={half.backup}"
        yield f"of {half.backup}, some parts are in place and some are not", _AGAIN.format(run)
    elif mark is not None and mark.finished is None:
        made_of = f"{restoring} with backup={mark.backup}"
        run = f"the runbook that cloned {node}" if " " in mark.backup else made_of
        yield f"{mark.backup} is in place, and not at its end", _AGAIN.format(run)
    elif by:
        yield f"run {by} has stopped it for a restore that has no end", _AGAIN.format(restoring)
    saved = f"{place.live}/pgsql_tmp_auto.conf"
    if node.host.holds("test", "-e", saved, user=node.os_user):
        yield f"settings of a recovery are in force: {saved}", _AGAIN.format(restoring)


def _of_a_rejoin(node: Node, place: Place) -> Iterator[tuple[str, str]]:
    half = HalfRejoin(node, place)
    if (half.is_cut_short() or half.rejoined_by()) and not node.accepts_writes():
        yield f"the return of {place.live} as a standby has no end", _AGAIN.format("rejoin")


def _of_a_recovery(node: Node) -> Iterator[tuple[str, str]]:
    mark = read_recovery_mark(node)
    if mark is not None and mark.finished is None:
        run = f"logical-recovery with backup={mark.backup}"
        yield f"the recovery of {mark.backup} has no end", _AGAIN.format(run)


def _of_the_server(cluster: Cluster, node: Node) -> Iterator[tuple[str, str]]:
    """Look at what only a server that answers can tell, or only there is wrong."""
    names = cluster.components.databases if cluster.components else ()
    closed = [one.name for one in standing(node).values() if one.closed_by_us and one.name in names]
    if closed and node.accepts_writes():
        run = f"component-restore of {', '.join(closed)}"
        yield f"closed to applications: {', '.join(closed)}", _AGAIN.format(run)
    held = node.service.held(node)
    if held is not None and node.host.attempt(held).exit_code == 0:
        lines = "; ".join(map(node.host.shown, node.service.release(node)))
        yield (
            "it runs, and its service is held down: no start of the machine would start it",
            f"Start the run again that stopped it; or let it be started again by hand: {lines}",
        )
