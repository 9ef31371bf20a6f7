"""Which logical backup is recovered, read to its last byte, and what it replaces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from runbook import check, fact, note
from runbook.cluster import Cluster
from runbook.errors import CheckFailed, CommandFailed, SettingsError, Unreachable
from runbook.inventory import StoreSettings
from runbook.logical.load import Contents
from runbook.logical.reading import StoredDump, stored_dumps
from runbook.logical.recovery.comparison import own_objects
from runbook.logical.recovery.databases import ALWAYS, databases
from runbook.logical.recovery.job import Recovery, filled
from runbook.logical.recovery.mark import read_mark
from runbook.logical.recovery.surveying import surveyed
from runbook.logical.settings import LogicalBackups
from runbook.logical.verifying import rows_of
from runbook.replication.lineup import Lineup
from runbook.replication.members import Member, members
from runbook.replication.metadata import metadata
from runbook.stores import OpenStore
from runbook.units import readable_bytes, readable_seconds
from tasks._task import task


def settings(cluster: Cluster) -> LogicalBackups:
    """Give the cluster's settings of logical backups; SettingsError when it has none."""
    if cluster.logical is None:
        raise SettingsError(
            f"cluster {cluster} has no logical in its settings",
            hint="Add logical: {store: NAME, guid: GUID, key: NAME} to the cluster.",
        )
    return cluster.logical


@contextmanager
def opened(store: StoreSettings, nodes: Lineup) -> Iterator[OpenStore]:
    """Open the store of the logical backups for the time of a block."""
    fact("store", store)
    with store.open(nodes.primary.host) as connected:
        yield connected


def chosen(
    cluster: Cluster, store: OpenStore, nodes: Lineup, wanted: str, *, again: bool
) -> Recovery:
    """Find the backup and read the whole of it: parts, key, gzip, its end, what may run."""
    return _verified(cluster, _found(store, settings(cluster), nodes, wanted), nodes, again=again)


@task("choose the backup {wanted}")
def _found(store: OpenStore, wanted_in: LogicalBackups, nodes: Lineup, wanted: str) -> StoredDump:
    """Find the backup of exactly this guid; latest goes on with one that was not finished."""
    found = {str(dump.name): dump for dump in stored_dumps(store, wanted_in)}
    mark = read_mark(nodes.primary)
    if wanted == "latest" and mark is not None and mark.finished is None:
        check(
            f"latest can only mean one backup on {nodes.primary}",
            lambda: mark.proven is None,
            seen=lambda: f"the recovery of {mark.backup} is proven, and not at its end",
            hint=f"backup={mark.backup} brings it to its end; another backup begins anew.",
        )
        if mark.backup in found:
            note(f"the recovery of {mark.backup} has not come to its end: it goes on")
            wanted = mark.backup
    if wanted == "latest" and found:
        wanted = list(found)[-1]
    if wanted not in found:
        known = ", ".join(list(found)[-5:]) or "none"
        raise CheckFailed(
            f"there is no logical backup {wanted!r} of {wanted_in.guid} in {store}",
            detail=f"newest: {known}; one without its .json is still being uploaded",
            hint="Name one as <guid>-<timestamp>, or correct logical.guid in the settings.",
        )
    dump = found[wanted]
    _tell(dump)
    _tell_system(dump, nodes)
    return dump


@task("verify {dump.name} to its last byte")
def _verified(cluster: Cluster, dump: StoredDump, nodes: Lineup, *, again: bool) -> Recovery:
    contents = surveyed(dump, cluster.encryption_keys)
    _is_as_recorded(dump, contents)
    known = known_members(nodes)
    job = Recovery(
        lineup=nodes,
        metadata=metadata(nodes, known),
        dump=dump,
        contents=contents,
        names=_names(contents, nodes),
        again=again,
        witnesses=tuple(member.name for member in known if member.type == "witness"),
    )
    note(f"{dump.name} is whole: {readable_bytes(contents.size)} of SQL, read to its last line")
    _tell_databases(job)
    return job


def other_system(dump: StoredDump, nodes: Lineup) -> str:
    """Give the system that the dump is of, where that is known and not the primary's."""
    of = dump.metadata.system_identifier if dump.metadata else ""
    return of if of != nodes.primary.identity().system_identifier else ""


def known_members(nodes: Lineup) -> tuple[Member, ...]:
    """Read whom repmgr knows; nobody where its database is not there."""
    try:
        return members(nodes.primary)
    except (Unreachable, CommandFailed):
        return ()  # a recovery that was interrupted: repmgr's database is aside


def _names(contents: Contents, nodes: Lineup) -> tuple[str, ...]:
    """Name what the dump fills; postgres, too, where somebody has made something in it."""
    names = filled(contents)
    if ALWAYS in names or not contents.database(ALWAYS):
        return names
    return (*names, ALWAYS) if own_objects(nodes.primary, ALWAYS) else names


def _tell_databases(job: Recovery) -> None:
    """Tell what becomes of every database: of those of the backup, and of what is half loaded."""
    now, loaded = databases(job.primary), job.is_loaded()
    half = {each.name for each in job.half_loaded()}
    for name in dict.fromkeys((*job.names, *half)):
        size = f"stands there with {readable_bytes(now[name].size)}" if name in now else ""
        if loaded:
            told = "is in place, stays" if size else "is gone since the load, and stays so"
        elif name in half:
            fate = "DROPPED and loaded anew" if name in job.names else "DROPPED"
            told = f"{size}, half loaded: {fate}"
        else:
            told = f"{size}: set aside, loaded anew" if size else "is made by the load"
        fact(f"database {name}", told, bound=False)


def _is_as_recorded(dump: StoredDump, contents: Contents) -> None:
    """Insist that the dump holds the rows that were counted when it was made."""
    recorded = dump.metadata.rows if dump.metadata else {}
    check(
        f"{dump.name} has the rows that its record names",
        lambda: not recorded or recorded == rows_of(contents),
        hint="Its record, or the dump, was changed. Use another backup.",
    )


def _tell(dump: StoredDump) -> None:
    digits = int(dump.name.timestamp)
    seconds = digits / 1000 if digits > 10**11 else digits
    taken = dump.metadata.began if dump.metadata else datetime.fromtimestamp(seconds, UTC)
    age = (datetime.now(UTC) - taken).total_seconds()
    fact("backup", f"{dump.name}, {readable_bytes(dump.size)} stored")
    fact("written after the backup", f"LOST: all since {taken:%Y-%m-%d %H:%M:%S} UTC")
    fact("age of the data", readable_seconds(age), bound=False)


def _tell_system(dump: StoredDump, nodes: Lineup) -> None:
    """Tell that it is a new site, or a server made anew: nightly backups stop at that."""
    if other := other_system(dump, nodes):
        fact(
            "ANOTHER SYSTEM",
            f"{dump.name} is of {other}, {nodes.primary} is not: the next logical-backup and "
            "base-backup need other_system=true, once",
        )
