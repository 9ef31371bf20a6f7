"""Is there room for what a dump becomes, on the primary and then on each standby?"""

from __future__ import annotations

from dataclasses import replace

from runbook.logical.load import Contents
from runbook.logical.recovery.settings import RecoverySettings
from runbook.postgres import Node
from runbook.replication.clone_places import short_of, source, targets
from runbook.replication.configuration import configuration
from runbook.restore.place import Look, look
from runbook.restore.reserve import most_wal
from runbook.restore.room import shortage


def load_short_of(
    primary: Node, contents: Contents, settings: RecoverySettings, *, freed: int
) -> str:
    """Say what lacks on the primary for the load and its WAL; empty when there is room.

    `freed`: the bytes of what an earlier load has made, which is dropped before this one.
    """
    wal = most_wal(primary)
    data = _with(look(primary.host, primary.directory(), primary.os_user), freed)
    size = _grown(contents, settings)
    if not data.wal_link:
        return shortage([(data, size + wal)])
    apart = look(primary.host, data.wal_link, primary.os_user)
    if apart.device == data.device:
        apart = _with(apart, freed)
    return shortage([(data, size), (apart, wal)])


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
