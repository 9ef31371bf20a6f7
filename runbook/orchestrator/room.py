"""Room on the new Orchestrator, for the files of a restore and for its database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from runbook.hosts import Command
from runbook.hosts.disk import disks
from runbook.orchestrator.backup import OrchestratorBackup
from runbook.orchestrator.places import Live

NEAREST = 'd=$1; until [ -e "$d" ]; do d=${d%/*}; d=${d:-/}; done; printf %s "$d"'
"""Gives the nearest folder that is there."""

_MARGIN = 1.2
_WAL = "SELECT pg_catalog.pg_size_bytes(current_setting('max_wal_size')) AS bytes"


@dataclass(frozen=True)
class Room:
    """A file system of the new Orchestrator: what a restore still takes there, and what is free."""

    mount: str
    needed: int
    free: int


def rooms(live: Live, backup: OrchestratorBackup, *, there: int, stands: bool) -> tuple[Room, ...]:
    """Ask every file system that a restore writes to.

    The archive and all its members, of which `there` bytes lie there; the database, unless it
    `stands` there already, and what its load writes into the WAL.
    """
    files = backup.size + sum(member.size for member in backup.members)
    wal = min(int(str(live.node.ask(_WAL)[0]["bytes"])), backup.database_size)
    database = 0 if stands else backup.database_size + wal
    folder = live.node.host.read(
        "sh", "-c", NEAREST, "nearest", live.directory, user=live.settings.user
    )
    found = {
        **disks(live.node.host, [folder], user=live.settings.user),
        **disks(live.node.console, [live.identity.data_directory], user=live.node.server_user),
    }
    needed: Counter[str] = Counter()
    needed[found[folder].mount] += max(0, files - there)
    needed[found[live.identity.data_directory].mount] += database
    free = {disk.mount: disk.free for disk in found.values()}
    return tuple(Room(mount, round(_MARGIN * size), free[mount]) for mount, size in needed.items())


def lying(live: Live, folders: Sequence[str]) -> int:
    """Count the bytes of folders on the new Orchestrator.

    Ref.: du(1)
    """
    if not folders:
        return 0
    command = Command(("du", "-sb", "--", *folders), user=live.settings.user, timeout=60)
    done = live.node.host.ask(command)
    return sum(int(line.split()[0]) for line in done.stdout.splitlines())
