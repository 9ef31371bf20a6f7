"""Is there room for what a dump becomes, on the primary and then on each standby?"""

from __future__ import annotations

from dataclasses import replace

from runbook.logical.load import Contents
from runbook.logical.recovery.settings import RecoverySettings
from runbook.postgres import Node
from runbook.postgres.vitals import vitals
from runbook.replication.clone_places import short_of, source, targets
from runbook.replication.configuration import configuration
from runbook.restore.place import Look, look
from runbook.restore.reserve import most_wal
from runbook.restore.room import shortage
from runbook.units import readable_bytes


def load_short_of(
    primary: Node, contents: Contents, settings: RecoverySettings, *, freed: int
) -> str:
    """Say what lacks on the primary for the load and its WAL; empty when there is room.

    `freed`: the bytes of what an earlier load has made, which is dropped before this one.
    """
    size, archived = _grown(contents, settings), _archived_late(primary, contents, settings)
    wal = most_wal(primary) + archived
    data = _with(look(primary.host, primary.directory(), primary.os_user), freed)
    needs = [(data, size + wal)]
    if data.wal_link:
        apart = look(primary.host, data.wal_link, primary.os_user)
        needs = [(data, size), (_with(apart, freed) if apart.device == data.device else apart, wal)]
    short = shortage(needs)
    if short and archived:
        short += f" (of it {readable_bytes(archived)} of WAL that waits for the archiver)"
    return short


def _archived_late(primary: Node, contents: Contents, settings: RecoverySettings) -> int:
    """Give the bytes of WAL that wait for the archiver: it may be slower than the load.

    All that the load writes, where the archiver fails; none where nothing is archived.
    """
    seen = vitals(primary)
    if not seen.archives(in_recovery=False):
        return 0
    return _grown(contents, settings) if seen.archiver.fails else contents.size


def clone_short_of(
    node: Node, primary: Node, contents: Contents, settings: RecoverySettings, *, freed: int
) -> str:
    """Say what lacks on a standby for a clone of the loaded primary beside its old data."""
    taken = source(primary)
    grown = replace(taken, size=taken.size + _grown(contents, settings) - freed)
    places = targets(node, grown, configuration(node).mapping)
    return short_of(node, grown, places, without_old=False)


def _with(seen: Look, freed: int) -> Look:
    return replace(seen, free=seen.free + freed)


def _grown(contents: Contents, settings: RecoverySettings) -> int:
    return int(contents.size * settings.space_factor)
