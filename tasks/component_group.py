"""The servers of a group and their component databases, and whether dumps can be taken there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from runbook import check, fact, note
from runbook.cluster import Cluster
from runbook.components import replay
from runbook.components.catalogue import DumpCatalogue
from runbook.components.dump import DatabaseDump, Occasion
from runbook.components.group import Server, ServerGroup, observed, settings_of
from runbook.components.places import Keeper, Places
from runbook.components.shelf import Shelf
from runbook.restore.reserve import Reserve, reserve_beside
from runbook.tools import pg_dump
from runbook.units import readable_bytes
from tasks._task import task
from tasks.locate import insist_on_one_writer

_MARGIN = 1.2
_SKEW = timedelta(seconds=30)


@task("find the servers of {cluster} and their component databases")
def find(cluster: Cluster, occasion: Occasion) -> ServerGroup:
    """Give the servers as they answer; every component database is on all that take dumps."""
    settings_of(cluster)
    insist_on_one_writer(cluster)
    group = observed(cluster)
    _tell(group, occasion)
    for server in group.servers:
        _is_of_the_group(group, server)
    for server in group.keepers:
        _has_all(group, server)
    return group


@task("check programs and space")
def fit(places: Places) -> None:
    """Insist on all that dumps need, on every server that takes them, and in the store."""
    needed: list[int] = []
    dumps: list[tuple[DumpCatalogue, DatabaseDump]] = []
    for keeper in places.keepers:
        _programs_fit(keeper.server)
        _folder_fits(keeper)
        shelves = keeper.catalogue.shelves()
        dumps += _of(keeper.catalogue, shelves)
        needed.append(_expected(keeper, shelves))
        where = f"{keeper.directory} on {keeper.server}"
        reserve = reserve_beside(keeper.server.node, keeper.directory)
        _is_free(where, keeper.catalogue.store.free_space(), needed[-1] + reserve.least, reserve)
        if danger := replay.danger(keeper.server):
            note(danger)
    if places.vault is not None:
        dumps += _of(places.vault, places.vault.shelves())
        _is_free(str(places.vault.store), places.vault.store.free_space(), needed[0])
    _not_from_the_future(dumps)


def _not_from_the_future(dumps: Sequence[tuple[DumpCatalogue, DatabaseDump]]) -> None:
    future = [
        f"{dump.name} in {catalogue}"
        for catalogue, dump in dumps
        if dump.finished > datetime.now(UTC) + _SKEW
    ]
    check(
        "no dump is from the future",
        lambda: not future,
        seen=lambda: f"{', '.join(future)}; the worker's clock says {datetime.now(UTC):%F %T} UTC",
        hint="Set the worker's clock: retention and latest go by the time of the dumps.",
    )


def _tell(group: ServerGroup, occasion: Occasion) -> None:
    primary = group.primary
    fact("occasion", occasion)
    fact("primary", f"{primary}, PostgreSQL {primary.identity.version_text}")
    fact("dumped and kept on", ", ".join(map(str, group.keepers)))
    fact("folder there", group.settings.directory)
    fact("store", group.settings.store or "none")
    fact("system identifier", primary.identity.system_identifier)
    sizes = [
        f"{name} {readable_bytes(primary.sizes[name])}"
        for name in group.settings.databases
        if name in primary.sizes
    ]
    fact("component databases", ", ".join(sizes), bound=False)
    others = sorted(set(primary.sizes) - set(group.settings.databases))
    if others:
        note(f"other databases, which this runbook does not dump: {', '.join(others)}")
    for node in group.silent:
        note(f"{node} does not answer; the others are dumped first, then this run fails")


def _is_of_the_group(group: ServerGroup, server: Server) -> None:
    wanted = group.primary.identity.system_identifier
    check(
        f"{server} has the system identifier of {group.primary}",
        lambda: server.identity.system_identifier == wanted,
        seen=lambda: f"{server}: {server.identity.system_identifier}, {group.primary}: {wanted}",
        hint="Is this another server on the same address? Correct the inventory.",
    )


def _has_all(group: ServerGroup, server: Server) -> None:
    wanted = group.settings.databases
    missing = [name for name in wanted if name not in server.sizes]
    closed = [name for name in wanted if name in server.closed]
    check(
        f"every component database is on {server}",
        lambda: not missing,
        seen=lambda: f"missing: {', '.join(missing)}; there: {', '.join(server.sizes)}",
        hint="Nothing was dumped. Correct components.databases; or look for who has dropped it.",
    )
    check(
        f"every component database on {server} lets us in",
        lambda: not closed,
        seen=lambda: f"datallowconn is false for {', '.join(closed)}",
        hint="Is it being restored? Start again after that.",
    )


def _programs_fit(server: Server) -> None:
    node, wanted = server.node, server.identity.major
    for name in ("pg_dump", "pg_restore"):
        version = node.console.read(node.program(name), "--version", user=node.server_user)
        check(
            f"{name} on {server} is of the server's major version, {wanted}",
            partial(_is_of, version, wanted),
            seen=version.strip,
            hint=f"Set bin_directory of node {server}: what a newer pg_dump writes may not load "
            "into this server, and an older one refuses it.",
        )


def _is_of(version: str, wanted: int) -> bool:
    return pg_dump.major(version) == wanted


def _folder_fits(keeper: Keeper) -> None:
    user = keeper.server.node.server_user
    check(
        f"{user} can write to {keeper.directory} on {keeper.server}",
        keeper.is_writable,
        hint=f"On {keeper.server}: install -d -m 0700 -o {user} {keeper.directory}",
    )
    check(
        f"{keeper.directory} on {keeper.server} lies outside the data directory",
        lambda: not keeper.is_inside_the_data(),
        seen=lambda: f"the data directory is {keeper.server.identity.data_directory}",
        hint="Set components.directory: a restore replaces the data directory.",
    )


def _of(
    catalogue: DumpCatalogue, shelves: Mapping[str, Shelf]
) -> list[tuple[DumpCatalogue, DatabaseDump]]:
    return [(catalogue, dump) for shelf in shelves.values() for dump in shelf.dumps]


def _expected(keeper: Keeper, shelves: Mapping[str, Shelf]) -> int:
    """Expect dumps of the last ones' sizes; of the first, at most their databases'."""
    sizes = [
        shelf.sound[-1].size if shelf.sound else keeper.server.sizes[database]
        for database, shelf in shelves.items()
    ]
    return int(_MARGIN * sum(sizes))


def _is_free(where: str, free: int | None, needed: int, reserve: Reserve | None = None) -> None:
    if free is None:
        return
    fact(f"free in {where}", readable_bytes(free), bound=False)
    told = reserve.told if reserve else ""
    check(
        f"{where} has room for the dumps",
        lambda: free > needed,
        seen=lambda: f"{readable_bytes(free)} free, {readable_bytes(needed)} needed{told}",
        hint="Nothing is pruned before the new dumps are verified. Make room, or lower "
        "components.keep and remove old ones by hand.",
    )
