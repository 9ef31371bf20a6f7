"""Findings about each running server: its archiver, its WAL, its disks, its transactions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePath

from runbook.health.finding import Finding, Level, found, graded
from runbook.health.limits import HealthLimits
from runbook.hosts.disk import Disk, disks
from runbook.postgres import Node
from runbook.postgres.collations import HINT, mismatches
from runbook.postgres.relations import DROP_AGAIN, half_dropped, read_every_relation
from runbook.postgres.vitals import Vitals, vitals
from runbook.replication.slots import slots
from runbook.units import readable_bytes, readable_seconds

_PRETENDS = ("true", "date", "echo", ":", "exit")
_NEVER = ("", "false")
_LAST_TRANSACTION = 2**31


def server_findings(node: Node, limits: HealthLimits, *, in_recovery: bool) -> Iterator[Finding]:
    """Look at one running server; Unreachable when it does not answer."""
    seen = vitals(node)
    wal = f"{seen.directory}/pg_wal"
    rooms = disks(node.console, (seen.directory, wal, *seen.tablespaces), user=node.server_user)
    yield _archiver(node, seen, limits, in_recovery=in_recovery)
    yield _wal(node, seen, rooms[wal], limits)
    for disk in dict.fromkeys(rooms.values()):
        yield _disk(node, disk, limits)
    yield _transactions(node, seen, limits)
    yield _collations(node)
    if not in_recovery:
        yield _frozen(node, seen, limits)


def relation_findings(node: Node) -> Iterator[Finding]:
    """Open every relation of every database; CheckFailed names what cannot be read."""
    count = read_every_relation(node)
    yield found(Level.OK, str(node), "every relation", f"{count} relations can be read")
    if left := half_dropped(node):
        yield found(Level.WARNING, str(node), "every relation", left, DROP_AGAIN)


def _archiver(node: Node, seen: Vitals, limits: HealthLimits, *, in_recovery: bool) -> Finding:
    what, archiver = "archiver", seen.archiver
    if not seen.archives(in_recovery=in_recovery):
        return found(Level.OK, str(node), what, f"archive_mode is {seen.archive_mode}")
    if archiver.fails:
        text = (
            f"archiving {archiver.last_failed_wal} failed at {_clock(archiver.last_failed_time)}"
            f", {archiver.failed_count} times in all; {seen.archive_backlog} files wait"
        )
        hint = f"Read the server log on {node.host}: what does archive_command say? "
        return found(Level.CRITICAL, str(node), what, text, f"{hint}WAL piles up in pg_wal.")
    first = PurePath(seen.archive_command.split()[0]).name if seen.archive_command.split() else ""
    if first in _PRETENDS:
        text = f"archive_command = '{seen.archive_command}' archives nothing"
        hint = "Switch archive_mode off, or write a command that copies the file."
        return found(Level.WARNING, str(node), what, text, hint)
    level = graded(seen.archive_backlog, limits.archive_backlog)
    if first in _NEVER:
        text = f"archive_command = '{seen.archive_command}' can archive nothing"
        hint = "Set it to what copies the file (a restore may have left it, or the backup of one: "
        hint += "ALTER SYSTEM RESET archive_command), and reload. WAL piles up in pg_wal."
        return found(max(level, Level.WARNING), str(node), what, text, hint)
    text = f"{archiver.archived_count} files archived, {seen.archive_backlog} wait"
    return found(level, str(node), what, text, "Is archive_command set, and fast enough?")


def _clock(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "an unknown time"


def _wal(node: Node, seen: Vitals, room: Disk, limits: HealthLimits) -> Finding:
    percent = 100 * seen.wal_size / max(1, seen.wal_size + room.free)
    holding = max(slots(node), key=lambda slot: slot.retained or 0, default=None)
    held = f"; slot {holding}" if holding is not None and holding.retained else ""
    text = (
        f"pg_wal has {readable_bytes(seen.wal_size)}, {percent:.0f} % of the room that it could "
        f"take; {readable_bytes(room.free)} free{held}"
    )
    hint = "Which slot, standby or archiver holds it back? Bound it with max_slot_wal_keep_size."
    return found(graded(percent, limits.wal), str(node), "WAL pressure", text, hint)


def _disk(node: Node, disk: Disk, limits: HealthLimits) -> Finding:
    text = f"{disk.percent_used:.0f} % used, {readable_bytes(disk.free)} free"
    hint = f"Make room on {node.host} before it is full: PostgreSQL stops when it cannot write."
    level = graded(disk.percent_used, limits.disk_used)
    return found(level, str(node), f"disk {disk.mount}", text, hint)


def _transactions(node: Node, seen: Vitals, limits: HealthLimits) -> Finding:
    age = seen.oldest_transaction
    text = f"open for {readable_seconds(age)}" if age else "none is open"
    hint = "SELECT * FROM pg_stat_activity ORDER BY xact_start; see also pg_prepared_xacts."
    level = graded(age, limits.transaction_seconds)
    return found(level, str(node), "oldest transaction", text, hint)


def _collations(node: Node) -> Finding:
    differing = mismatches(node)
    level = Level.WARNING if differing else Level.OK
    text = "; ".join(map(str, differing)) or "as recorded"
    return found(level, str(node), "collation versions", text, HINT)


def _frozen(node: Node, seen: Vitals, limits: HealthLimits) -> Finding:
    percent = 100 * seen.frozen_age / _LAST_TRANSACTION
    text = f"{seen.frozen_age} transactions old, {percent:.0f} % of the way to wraparound"
    hint = "Is autovacuum kept from its work? VACUUM (FREEZE) the oldest database."
    return found(graded(seen.frozen_age, limits.frozen_age), str(node), "wraparound", text, hint)
