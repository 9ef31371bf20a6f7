"""The way back by hand, where a run has stopped the old primary: until then nobody can write."""

from __future__ import annotations

from runbook.apps import App
from runbook.cluster import Cluster
from runbook.errors import CommandFailed, HostUnreachable, RunbookError, Unreachable
from runbook.postgres import Node
from runbook.postgres.state import ControlData
from runbook.replication.ending import stopped_state
from runbook.replication.members import repmgr_of, repmgr_program
from runbook.replication.server import look
from runbook.replication.survey import Survey, survey
from runbook.tools import repmgr

_NOW = "NOBODY CAN WRITE NOW"


def stopped_primary(seen: Survey) -> Node | None:
    """Give the one server that was stopped in good order as a primary, where nobody writes.

    One on an older timeline than another node was replaced long ago: its data is old.
    """
    if seen.writable:
        return None
    controls = [(node, _control_file(node)) for node in seen.silent]
    stopped = [(node, control) for node, control in controls if control is not None]
    known = [seen.state(node).timeline for node in seen.standbys]
    known += [control.newest_timeline for _, control in stopped]
    found = [
        node
        for node, control in stopped
        if control.state == "shut down" and control.timeline == max(known)
    ]
    return found[0] if len(found) == 1 else None


def way_back(cluster: Cluster, old: Node) -> str:
    """Give the lines that put the old primary in service again; first, who may stand against it."""
    doubtful = [
        str(node)
        for node in cluster.nodes
        if node.name != old.name and not _is_certainly_a_standby(node)
    ]
    unless = (
        f"ONLY IF IT IS CERTAIN that {', '.join(doubtful)} was not promoted, and is off: "
        if doubtful
        else ""
    )
    starts = (*old.service.release(old), *old.service.start(old))
    unpause = repmgr.service_unpause(
        repmgr_program(old), repmgr_of(old).configuration, user=old.os_user
    )
    lines = (
        *(f"on {old.host}: {old.host.shown(command)}" for command in starts),
        *map(_starting, cluster.apps),
        f"on {old.host}: {old.host.shown(unpause)}",
    )
    return unless + "; ".join(lines)


def is_still_a_standby(node: Node) -> bool:
    """Ask the server; where it has died, its control file: a promotion would be written there."""
    try:
        return look(node).in_recovery
    except HostUnreachable:
        raise
    except (Unreachable, CommandFailed):
        return node.controldata().state in ("in archive recovery", "shut down in recovery")


def told_to(cluster: Cluster, error: RunbookError) -> None:
    """Add the way back to an error, where a handover has been begun."""
    if _NOW in error.hint:
        return
    try:
        old = stopped_primary(survey(cluster))
        if old is not None:
            error.hint += (
                f" {_NOW}: {old} was stopped, by a run of before or by hand. "
                f"The way back: {way_back(cluster, old)}"
            )
    except RunbookError as more:
        error.hint += f" Whether anybody can write now is not known: {more.message}"


def _control_file(node: Node) -> ControlData | None:
    try:
        return stopped_state(node)
    except RunbookError:
        return None


def _is_certainly_a_standby(node: Node) -> bool:
    try:
        return is_still_a_standby(node)
    except RunbookError:
        return False


def _starting(app: App) -> str:
    try:
        return "; ".join(f"on {action.where}: {action}" for action in app.recreating())
    except RunbookError as error:
        return f"start {app} ({error.message})"
