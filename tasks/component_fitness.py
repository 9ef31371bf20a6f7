"""Whether dumps fit the server that they go to, and are sound; before the first change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from runbook import check, ensure, fact
from runbook.actions import Work
from runbook.components.archive import contents_of_archive
from runbook.components.group import Server
from runbook.components.places import Places
from runbook.components.restoring import ComponentRestore, verifying
from runbook.errors import CheckFailed, Damaged
from runbook.hosts.disk import disks
from runbook.postgres import Node
from runbook.postgres.vitals import vitals
from runbook.restore.reserve import most_wal
from runbook.run import current
from runbook.tools import pg_dump
from runbook.units import readable_bytes
from tasks._task import task

_MARGIN = 1.2
_ROLES = "SELECT rolname AS name FROM pg_catalog.pg_roles"
_TABLESPACES = """
SELECT spcname AS name, pg_catalog.pg_tablespace_location(oid) AS location
FROM pg_catalog.pg_tablespace
"""


@task("check that the dumps fit")
def fit(places: Places, jobs: Sequence[ComponentRestore], *, other_system: bool) -> None:
    """Insist on all that can be known without the archives."""
    for job in jobs:
        _versions_fit(job)
        _system_fits(job, other_system=other_system)
        _belongings_fit(job)
        _can_be_replaced(job)
    for server in places.group.servers:
        _have_room(server, jobs)


@task("verify the dumps")
def verify(jobs: Sequence[ComponentRestore]) -> None:
    """Read every archive to its last byte on the primary, before anything is changed."""
    for job in jobs:
        summing, reading = verifying(job)
        line = f"{job.node.console.shown(summing)}; {job.node.console.shown(reading)}"
        ensure(
            f"{job} was read to its last byte by this run, and is what its record says",
            holds=partial(_is_verified, job),
            by=[Work(job.node.console.name, line, partial(_verified, job), changes=False)],
        )


def _versions_fit(job: ComponentRestore) -> None:
    dump, major = job.dump, job.keeper.server.identity.major
    client = pg_dump.major(dump.client_version)
    check(
        f"{job} was dumped from this major version or an older one, by a pg_dump no newer",
        lambda: dump.server_major <= major and client <= major,
        seen=lambda: f"server {dump.server_version}, {dump.client_version}; here {major}",
        hint="Newer dumps use what this server does not know. Restore it into a newer server.",
    )


def _system_fits(job: ComponentRestore, *, other_system: bool) -> None:
    ours, theirs = job.keeper.server.identity.system_identifier, job.dump.system_identifier
    if ours != theirs:
        fact(f"{job}", f"comes from ANOTHER DATABASE SYSTEM: {theirs}")
    check(
        f"{job} is of this database system",
        lambda: other_system or ours == theirs,
        seen=lambda: f"the dump's: {theirs}, this one: {ours}",
        hint="After a new installation that is right: start again with other_system=true.",
    )


def _belongings_fit(job: ComponentRestore) -> None:
    """Insist on the roles and the tablespace that the database itself needs."""
    made = job.dump.properties
    check(
        f"the roles and the tablespace of {job} are on {job.node}",
        lambda: not _missing(job.node, made.roles(), made.tablespace),
        seen=lambda: f"missing: {', '.join(_missing(job.node, made.roles(), made.tablespace))}",
        hint="A dump holds no roles and no tablespaces. Create them, then start again.",
        unless=job.is_ready,
    )


def _can_be_replaced(job: ComponentRestore) -> None:
    now = job.standing()
    check(
        f"no prepared transaction holds {job.database}",
        lambda: now is None or not now.prepared,
        seen=lambda: f"{now.prepared if now else 0} are in pg_prepared_xacts",
        hint="Commit or roll them back: a database with one cannot be renamed.",
        unless=job.in_place,
    )


def _have_room(server: Server, jobs: Sequence[ComponentRestore]) -> None:
    """Count what is to be loaded by its tablespaces, and its WAL; a standby replays both.

    WAL stays until it is archived, and an archiver may be slower than the load, or fail.
    """
    node, data = server.node, server.identity.data_directory
    places = {str(row["name"]): str(row["location"]) or data for row in node.ask(_TABLESPACES)}
    sizes: Counter[str] = Counter()
    for job in jobs:
        if not job.is_ready():
            sizes[places[job.dump.properties.tablespace]] += job.dump.database_size
    loaded = {place: int(_MARGIN * size) for place, size in sizes.items()}
    archives = vitals(node).archives(in_recovery=server.is_standby)
    wal = sizes.total() if archives else min(sizes.total(), most_wal(node))
    needed = Counter(loaded) + Counter({f"{data}/pg_wal": wal})
    if not needed:
        return
    found = disks(node.console, tuple(needed), user=node.server_user)
    by_disk: Counter[str] = Counter()
    for place, size in needed.items():
        by_disk[found[place].mount] += size
    free = {disk.mount: disk.free for disk in found.values()}
    for mount, size in by_disk.items():
        _has_room(f"{mount} of {server}", free[mount], size)


def _has_room(mount: str, free: int, needed: int) -> None:
    fact(f"free on {mount}", readable_bytes(free), bound=False)
    check(
        f"the new databases have room on {mount} beside the old ones",
        lambda: free > needed,
        seen=lambda: f"{readable_bytes(free)} free, {readable_bytes(needed)} needed",
        hint="Make room there, or restore fewer at a time: the old databases stay until they are "
        "dropped by hand. "
        "WAL counts in full where it is archived; archive_mode = off, with a restart and a base "
        "backup afterwards, does without.",
    )


def _missing(node: Node, roles: frozenset[str], tablespace: str) -> list[str]:
    there = {str(row["name"]) for row in node.ask(_ROLES)}
    spaces = {str(row["name"]) for row in node.ask(_TABLESPACES)}
    lacking = [f"role {name}" for name in sorted(roles - there)]
    return lacking + ([] if tablespace in spaces else [f"tablespace {tablespace}"])


def _owners_are_here(job: ComponentRestore) -> None:
    there = {str(row["name"]).rpartition(" ")[2] for row in job.node.ask(_ROLES)}
    missing = sorted(set(contents_of_archive(job.node, job.path).tables) - there)
    if missing:
        raise CheckFailed(
            f"tables in {job} have owners that {job.node} does not know",
            detail=f"missing: role {', role '.join(missing)}",
            hint="A dump holds no roles. Create them, then start again.",
        )


def _is_verified(job: ComponentRestore) -> bool:
    return job.is_ready() or current().memory.get(f"verified {job}") is True


def _verified(job: ComponentRestore) -> str:
    host, dump = job.node.console, job.dump
    summing, reading = verifying(job)
    summed = host.run(summing).stdout.lstrip("\\")[:64]
    if summed != dump.sha256:
        raise Damaged(
            f"{job} on {host} is not what its record says",
            detail=f"{job.path}: SHA-256 {summed}, in its record {dump.sha256}",
            hint="Choose another dump, or source store.",
        )
    host.run(reading)
    _owners_are_here(job)
    current().memory[f"verified {job}"] = True
    return f"{job} is sound"
