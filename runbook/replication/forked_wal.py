"""The WAL with which a new primary's timeline begins, brought to a standby that never asks for it.

A standby asks for WAL from the segment on that its next page lies in. Where it holds half a record
and the other half would lie in a later segment, that is too late: it reads the first half in the
old timeline's segment, the rest in the new one's, and ends with "invalid contrecord length" and a
PANIC; repmgr takes the half for more than the new primary has and refuses it.
Ref.: PostgreSQL documentation, 30.6 WAL Internals; seen with PostgreSQL 15.18.
"""

from __future__ import annotations

from runbook.hosts import Command
from runbook.postgres import Node
from runbook.replication.fork import Fork
from runbook.replication.server import ServerState
from runbook.stores.node_folder import NodeFolder
from runbook.stores.node_upload import NodeUpload
from runbook.stream.segments import segment_of

_MODE = "SELECT current_setting('archive_mode') AS archive_mode"


def has_half_beyond(begun: Fork, state: ServerState) -> bool:
    """Tell whether a standby that can follow counts the half of a record as more than the primary.

    What it has replayed ends where the new timeline begins, or before; what it has received, after.
    """
    if begun.begin is None or state.replayed is None:
        return False
    return state.replayed <= begun.begin < state.reached


def asks_too_late(begun: Fork, standby: Node, state: ServerState) -> bool:
    """Tell whether a standby would not ask for the segment that the new timeline begins in."""
    size = standby.identity().wal_segment_size
    return begun.begin is not None and begun.begin.position // size < state.reached.position // size


def bring(begun: Fork, primary: Node, standby: Node) -> str:
    """Copy the segment that the new timeline begins in, and its history, to a standby.

    The segment must have ended. The standby takes both at its next start. As what a standby
    receives, they count as archived (by the primary): promoted, it would archive them once more,
    and a command that overwrites nothing fails on them for ever. One with `archive_mode = always`
    archives all by itself.
    Ref.: PostgreSQL documentation, "Continuous Archiving in Standby"
    """
    assert begun.begin is not None
    segment = segment_of(begun.timeline, begun.begin, primary.identity().wal_segment_size)
    names = (segment, f"{begun.timeline:08X}.history")
    for name in names:
        _copy(name, primary, standby)
        if standby.ask(_MODE)[0]["archive_mode"] != "always":
            _count_as_archived(name, standby)
    return f"brought {' and '.join(names)}"


def _count_as_archived(name: str, standby: Node) -> None:
    path = f"{standby.directory()}/pg_wal/archive_status/{name}.done"
    command = Command(("install", "-m", "600", "/dev/null", path), user=standby.os_user)
    standby.host.run(command)


def _copy(name: str, primary: Node, standby: Node) -> None:
    """Copy a file of pg_wal; it has its name on the standby when it is whole and on disk."""
    there = NodeFolder(primary.host, f"{primary.directory()}/pg_wal", primary.os_user)
    path = f"{standby.directory()}/pg_wal/{name}"
    with NodeUpload(standby.host, path, standby.os_user, overwrite=True) as upload:
        for piece in there.read(name):
            upload.write(piece)
        upload.commit()
