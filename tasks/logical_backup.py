"""Logical backups: the store, the tools, the key, leftovers, taking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from runbook import check, ensure, fact, note
from runbook.actions import Work
from runbook.cluster import Cluster
from runbook.errors import CheckFailed, Damaged, SettingsError
from runbook.inventory import StoreSettings
from runbook.logical.catalogue import DumpCatalogue, Leftover
from runbook.logical.dumping import LogicalDump, unfinished_removed
from runbook.logical.evidence import on_record
from runbook.logical.metadata import LogicalMetadata
from runbook.logical.names import new_name
from runbook.logical.reading import StoredDump
from runbook.logical.recipe import dump_version, insist_on_usable
from runbook.logical.settings import LogicalBackups
from runbook.postgres import Node
from runbook.run import current
from runbook.stores import AzureStore
from runbook.units import readable_bytes
from tasks._task import task
from tasks.database_system import insist_on_same
from tasks.locate import database_bytes, kept_free
from tasks.shrinking import MEASURED, tell_shrunken

_MARGIN = 1.2
_SKEW = timedelta(seconds=30)


def settings_of(cluster: Cluster) -> LogicalBackups:
    """Give where the logical backups of a cluster lie; SettingsError when it has none."""
    if cluster.logical is None:
        raise SettingsError(
            f"cluster {cluster} has no logical backups in its settings",
            hint="Add logical: {store: NAME, guid: GUID} and encryption_keys to the cluster.",
        )
    return cluster.logical


@contextmanager
def opened(store: StoreSettings, cluster: Cluster, node: Node) -> Iterator[DumpCatalogue]:
    """Open the store of a cluster's logical backups for the time of a block."""
    settings = settings_of(cluster)
    fact("store of logical backups", f"{store}, {settings.prefix}{settings.guid}-*")
    with store.open(node.host) as connected:
        yield DumpCatalogue(connected, settings)


@task("check versions and key")
def can_dump(node: Node, cluster: Cluster) -> None:
    """Insist on a pg_dumpall of the server's own major version, and on a key that can be used."""
    settings = settings_of(cluster)
    insist_on_usable(cluster.encryption_keys[settings.key], settings)
    fact("encryption", f"{settings.format}, key {settings.key!r}")
    client, server = dump_version(node), node.identity()
    fact("pg_dumpall", client[0] or "unknown")
    check(
        f"pg_dumpall on {node} is of the server's major version",
        lambda: client[1] == server.major,
        seen=lambda: f"pg_dumpall {client[0]}, server {server.version_text}",
        hint="A newer pg_dumpall writes what the server does not load again, an older one refuses."
        " Set bin_directory to the server's own programs.",
    )


@task("clear what interrupted runs left in {catalogue}")
def clear_leftovers(catalogue: DumpCatalogue) -> None:
    """Remove backups that a run of ours began and never finished; say which."""
    found = catalogue.leftovers()
    for left in found:
        kind = "mark on" if left.whole else "unfinished"
        ensure(
            f"the {kind} {left.name} of an interrupted run is gone",
            holds=partial(_is_gone, catalogue, left),
            by=[Work(str(catalogue), f"remove the {kind} {left}", partial(_gone, catalogue, left))],
        )
    if not found:
        note("no interrupted run has left anything behind")


@task("check that {node} is the database system of the last backup")
def same_system(
    node: Node, catalogue: DumpCatalogue, cluster: Cluster, *, other_system: bool
) -> None:
    """Refuse a server that was made anew: latest would be a dump of its empty databases."""
    for dump in reversed(catalogue.dumps()):
        last = _readable(dump)
        if last is not None and last.cluster == cluster.name:
            insist_on_same(
                node, last.id, last.system_identifier, "logical-backup", other_system=other_system
            )
            return


@task("check clock and space")
def has_room(node: Node, store: StoreSettings, catalogue: DumpCatalogue) -> None:
    """Insist on a clock that makes this backup the newest, and on free space for it."""
    dumps = catalogue.dumps()
    now = new_name(catalogue.settings.guid, datetime.now(UTC) + _SKEW)
    check(
        "no backup in the store is from the future",
        lambda: not dumps or dumps[-1].name < now,
        seen=lambda: f"{dumps[-1].name}; the worker's clock says {datetime.now(UTC):%F %T} UTC",
        hint="Set the worker's clock: the newest backup is the one with the highest number.",
    )
    free = catalogue.store.free_space()
    if free is None:
        note("the store does not tell its free space")
        return
    size = int(_MARGIN * (dumps[-1].size if dumps else database_bytes(node)))
    reserve = kept_free(node, store)
    needed = size + reserve.least
    fact("free space in the store", readable_bytes(free), bound=False)
    check(
        "the store has room for the backup",
        lambda: free > needed,
        seen=lambda: f"{readable_bytes(free)} free, {readable_bytes(needed)} needed{reserve.told}",
        hint="Remove old backups, or give the store more space.",
    )


@task("dump all databases of {node}, encrypted")
def create(node: Node, cluster: Cluster, store: StoreSettings, catalogue: DumpCatalogue) -> None:
    """Dump into the store, read back to the last byte, and write the record last."""
    run = current()
    job = LogicalDump(
        cluster,
        node,
        catalogue,
        one_object=isinstance(store.location, AzureStore),
        run_id=run.id,
        expected=_expected(node, catalogue),
        reserve=kept_free(node, store),
    )
    with unfinished_removed(catalogue, job):
        ensure(
            "a verified logical backup of this run is in the store",
            holds=lambda: catalogue.of_run(run.id) is not None,
            by=job.actions,
        )
    taken = None if run.planning else catalogue.of_run(run.id)
    if taken is not None:
        on_record(run, taken, "taken")
        _tell_shrunken(taken, catalogue)
        _insist_on_loadable(taken)


def _tell_shrunken(taken: LogicalMetadata, catalogue: DumpCatalogue) -> None:
    names = [dump for dump in catalogue.dumps() if str(dump.name) < taken.id]
    records = [record for dump in names[-MEASURED:] if (record := _readable(dump)) is not None]
    before = [
        (each.id, each.dump_size)
        for each in records
        if each.system_identifier == taken.system_identifier
    ]
    tell_shrunken(taken.id, taken.dump_size, before)


def _insist_on_loadable(taken: LogicalMetadata) -> None:
    """Fail the night that took it, not the recovery that needs it."""
    if taken.refused:
        raise CheckFailed(
            f"{taken.id} was taken and is whole, but logical-recovery refuses it",
            detail=taken.refused,
            hint="It is kept. If that statement is your own, it loads by hand, as the page of "
            "logical-backup says. Take what it makes out of the database: then the next one can "
            "be recovered.",
        )


def _expected(node: Node, catalogue: DumpCatalogue) -> int:
    """Guess how large the dump will be: like the last one, or like the databases."""
    dumps = catalogue.dumps()
    last = _readable(dumps[-1]) if dumps else None
    return last.dump_size if last else database_bytes(node)


def _readable(dump: StoredDump) -> LogicalMetadata | None:
    try:
        return dump.metadata
    except Damaged:
        return None


def _is_gone(catalogue: DumpCatalogue, left: Leftover) -> bool:
    return left.name not in {found.name for found in catalogue.leftovers()}


def _gone(catalogue: DumpCatalogue, left: Leftover) -> str:
    catalogue.clear(left)
    return f"removed {left.name}"
