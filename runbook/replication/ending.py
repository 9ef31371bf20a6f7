"""Where a server's WAL ends: the last record, and whether a standby has replayed it."""

from __future__ import annotations

from runbook.postgres import Node
from runbook.postgres.state import ControlData
from runbook.replication.server import ServerState, look
from runbook.stream.segments import segment_of
from runbook.tools import pg_waldump
from runbook.units import Lsn


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


def has_replayed_what_it_has(standby: Node) -> bool:
    """Tell whether a standby has replayed every whole record that it has received."""
    state = look(standby)
    return state.replayed is not None and state.replayed >= whole_until(standby, state)


def whole_until(standby: Node, state: ServerState) -> Lsn:
    """Give where the whole records end that a standby has received.

    A primary sends pages, not records: where it died, half a record may have come last, which is
    never replayed, and of which a promotion makes nothing.
    """
    replayed, reached = state.replayed, state.reached
    if replayed is None or replayed >= reached:
        return reached
    size = standby.identity().wal_segment_size
    command = pg_waldump.record(
        standby.program("pg_waldump"),
        standby.directory(),
        segment_of(state.timeline, replayed, size),
        str(replayed),
        user=standby.os_user,
        last=segment_of(state.timeline, Lsn(reached.position - 1), size),
    )
    done = standby.host.attempt(command)
    cut = not done.stdout.strip() and pg_waldump.ENDS.search(done.stderr)
    return replayed if cut else reached


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
