"""Judge a cluster from outside, by PostgreSQL's own clients, never by the runbooks' code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.lab import processes
from tests.lab.counting import lsn_of
from tests.lab.errors import LabError
from tests.lab.postgres import PostgresNode
from tests.lab.repmgr import RepmgrCluster


@dataclass(frozen=True)
class Stream:
    """A row of pg_stat_replication: one standby, by the name that its host gives it."""

    standby: str
    state: str
    timeline: int


@dataclass(frozen=True)
class Slot:
    """A physical replication slot."""

    name: str
    active: bool
    wal_status: str


def accepts_writes(node: PostgresNode) -> bool:
    """Tell whether a client that comes to the server's address can begin to write there.

    A transaction id is taken and given back, so that nothing is left and nothing is waited for.
    """
    try:
        with psycopg.connect(node.conninfo() + " connect_timeout=10", autocommit=True) as client:
            client.execute("BEGIN")
            client.execute("SELECT pg_current_xact_id()")
            row = client.execute("SHOW transaction_read_only").fetchone()
            client.execute("ROLLBACK")
    except psycopg.Error:
        return False
    return row == ("off",)


def writable(nodes: Iterable[PostgresNode]) -> tuple[str, ...]:
    """Name every server that accepts writes: one is right, two are a split brain."""
    return tuple(node.name for node in nodes if accepts_writes(node))


def timeline(node: PostgresNode) -> int:
    """Give the timeline that a running server writes, or replays, now."""
    query = """
    SELECT CASE WHEN pg_is_in_recovery()
           THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                         (SELECT timeline_id FROM pg_control_checkpoint()))
           ELSE ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int
           END"""
    return int(node.psql(query))


def fork(node: PostgresNode) -> int:
    """Give the position where a primary's present timeline left the one before."""
    file = node.data_directory / "pg_wal" / f"{timeline(node):08X}.history"
    last = file.read_text().strip().splitlines()[-1]
    return lsn_of(last.split("\t")[1])


def received(node: PostgresNode) -> int:
    """Give the end of what a standby, or one that was just promoted, has received."""
    return lsn_of(node.psql("SELECT pg_last_wal_receive_lsn()"))


def position(node: PostgresNode) -> int:
    """Give where a primary writes, or how far a standby has replayed."""
    return lsn_of(
        node.psql(
            "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() "
            "ELSE pg_current_wal_lsn() END"
        )
    )


def streaming(primary: PostgresNode, nodes: Iterable[PostgresNode]) -> dict[str, Stream]:
    """Give the standbys that a server streams to, with the timeline that each receives.

    repmgr names a connection after the node in repmgr.conf; here that is the host's name.
    """
    query = "SELECT application_name, state FROM pg_stat_replication WHERE state = 'streaming'"
    by_name = {node.name: node for node in nodes}
    rows = (line.split("|") for line in primary.psql(query).splitlines())
    return {
        name: Stream(name, state, timeline(by_name[name]))
        for name, state in rows
        if name in by_name and by_name[name].is_running()
    }


def slots(node: PostgresNode) -> dict[str, Slot]:
    """Give a server's physical slots by name."""
    query = """
    SELECT slot_name, active, coalesce(wal_status, '') FROM pg_replication_slots
    WHERE slot_type = 'physical' ORDER BY 1"""
    rows = (line.split("|") for line in node.psql(query).splitlines())
    return {name: Slot(name, active == "t", status) for name, active, status in rows}


def upstream(node: PostgresNode) -> str:
    """Give the address that a standby receives from, empty when from nobody."""
    return node.psql("SELECT sender_host FROM pg_stat_wal_receiver WHERE status = 'streaming'")


def cluster_show(cluster: RepmgrCluster, node: PostgresNode) -> dict[int, tuple[int, int]]:
    """Give what `repmgr cluster show --csv` says on a node: id -> (availability, recovery).

    Two nodes with recovery 0 are a split brain as repmgr sees it; -1 is unknown.
    """
    done = cluster.repmgr(node, "cluster", "show", "--csv", check=False)
    found = re.findall(r"^(\d+),(-?\d+),(-?\d+)$", done.stdout, re.M)
    if not found:
        raise LabError(f"repmgr cluster show on {node.name} shows nothing", detail=done.stderr)
    return {int(number): (int(there), int(role)) for number, there, role in found}


def amcheck(node: PostgresNode) -> None:
    """Read every table and index; LabError when one is broken. Changes the primary: extension."""
    node.tool("pg_amcheck", "--all", "--install-missing", "--heapallindexed")


def servers(node: PostgresNode) -> list[Path]:
    """List the data directories on a node's host that a postmaster is at work in, one each.

    The process that writes the log outlives its postmaster by a moment, and is none.
    """
    parents: dict[int, tuple[int, Path]] = {}
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdigit() or (entry / "comm").read_text().strip() != "postgres":
                continue
            directory = (entry / "cwd").readlink()
            is_logger = b": logger" in (entry / "cmdline").read_bytes()
            if directory.is_relative_to(node.host.directory) and not is_logger:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = (int(stat[1]), directory)
        except OSError:
            continue
    return sorted(at for parent, at in parents.values() if parent not in parents)


def strays(node: PostgresNode, *, within: float = 30) -> list[str]:
    """List what a run has left on a node and that does not end by itself in so many seconds.

    A leash waits 5 s before it kills, and a base backup waits for its checkpoint, client or none.

    Commands in the node's directory that are neither a server, repmgrd nor a supervisor; base
    backups that still run from it; temporary slots.
    """
    found: list[str] = []

    def clean() -> bool:
        found[:] = [*_commands(node), *_sessions(node)]
        return not found

    try:
        processes.until(clean, "nothing is left", within=within)
    except LabError:
        return found
    return []


def _commands(node: PostgresNode) -> list[str]:
    lines = []
    for pid in processes.members("none", node.directory):
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if line and name not in {"postgres", "repmgrd"} and " revive " not in line:
            lines.append(line)
    return lines


def _sessions(node: PostgresNode) -> list[str]:
    if not node.is_running():
        return []
    query = """
    SELECT 'base backup of ' || application_name FROM pg_stat_replication WHERE state = 'backup'
    UNION ALL SELECT 'temporary slot ' || slot_name FROM pg_replication_slots WHERE temporary"""
    return node.psql(query).splitlines()
