"""The last record of a server that was stopped in good order, and whether a standby has it."""

from __future__ import annotations

from runbook.postgres import Node
from runbook.postgres.state import ControlData
from runbook.replication.server import look
from runbook.tools import pg_waldump


def stopped_state(node: Node) -> ControlData | None:
    """Read the control file of a stopped server; None while a server runs on the directory."""
    return node.controldata() if node.is_stopped() else None


def has_replayed(standby: Node, end: ControlData) -> bool:
    """Tell whether a standby has replayed the shutdown checkpoint that a control file names.

    Its replay is beyond the record, and the record itself stands in its WAL, on that timeline:
    a standby that receives nothing any more does not say which timeline it has replayed.
    """
    replayed = look(standby).replayed
    return replayed is not None and replayed > end.checkpoint and _holds(standby, end)


def _holds(standby: Node, end: ControlData) -> bool:
    file = end.wal_file(end.timeline, end.checkpoint)
    command = pg_waldump.record(
        standby.program("pg_waldump"),
        standby.directory(),
        file,
        str(end.checkpoint),
        user=standby.os_user,
    )
    done = standby.host.attempt(command)
    here = f"lsn: {end.checkpoint.position >> 32:X}/{end.checkpoint.position & 0xFFFFFFFF:08X}"
    return here in done.stdout and "CHECKPOINT_SHUTDOWN" in done.stdout
