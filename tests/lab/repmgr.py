"""A repmgr cluster of the loopback lab: one registered primary and its registered standbys."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.lab import processes
from tests.lab.postgres import PostgresNode

_CONFIGURATION = """\
node_id = {number}
node_name = '{node.name}'
conninfo = '{conninfo}'
data_directory = '{node.data_directory}'
pg_bindir = '{node.bin_directory}'
use_replication_slots = yes
monitoring_history = no
repmgrd_pid_file = '{node.directory}/repmgrd.pid'
log_file = '{node.directory}/log/repmgrd.log'
ssh_options = '-q -F none -i {key} -p {node.host.ssh_port} -o ConnectTimeout=10 \
-o StrictHostKeyChecking=yes -o UserKnownHostsFile={node.host.known_hosts}'
"""


@dataclass(frozen=True)
class RepmgrCluster:
    """Registered nodes; who is primary is asked of PostgreSQL, never remembered."""

    nodes: tuple[PostgresNode, ...]

    @property
    def primary(self) -> PostgresNode:
        (node,) = (n for n in self.nodes if n.is_running() and not _in_recovery(n))
        return node

    @property
    def standbys(self) -> tuple[PostgresNode, ...]:
        return tuple(n for n in self.nodes if n.is_running() and _in_recovery(n))

    def repmgr(
        self, node: PostgresNode, *arguments: str, check: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run repmgr as postgres on a node, with that node's repmgr.conf."""
        argv: list[str | Path] = [
            node.bin_directory / "repmgr",
            "-f",
            configuration(node),
            *arguments,
        ]
        return processes.run(
            argv, user="postgres", mark=node.host.lab, check=check, timeout=timeout
        )

    def show(self, node: PostgresNode | None = None) -> str:
        """Return what `repmgr cluster show --csv` says: node id, availability, recovery."""
        return self.repmgr(node or self.nodes[0], "cluster", "show", "--csv").stdout.strip()

    def add_standby(self, node: PostgresNode, *, of: PostgresNode) -> None:
        """Clone a prepared, empty node from the primary, start it and register it."""
        source = ("-h", of.host.address, "-p", str(of.port), "-U", "repmgr", "-d", "repmgr")
        self.repmgr(node, *source, "standby", "clone", "--fast-checkpoint")
        node.start()
        await_stream(of.psql, node.name)
        self.repmgr(node, "standby", "register", "--wait-sync=30")


def await_stream(ask: Callable[[str], str], name: str) -> None:
    """Wait until a primary, asked in SQL, streams to a standby: repmgr registers no other."""
    state = f"SELECT state FROM pg_stat_replication WHERE application_name = '{name}'"
    processes.until(lambda: ask(state) == "streaming", f"the primary streams to {name}")


def configuration(node: PostgresNode) -> Path:
    """Return the path of the node's repmgr.conf."""
    return node.directory / "repmgr.conf"


def configure(node: PostgresNode, number: int, key: Path, source: PostgresNode) -> None:
    """Write the node's repmgr.conf; tablespaces are mapped onto the node's own directories."""
    conninfo = (
        f"host={node.host.address} port={node.port} user=repmgr dbname=repmgr connect_timeout=2"
    )
    text = _CONFIGURATION.format(number=number, node=node, conninfo=conninfo, key=key)
    if source is not node:
        for name, path in source.tablespaces.items():
            text += f"tablespace_mapping = '{path}={node.tablespaces[name]}'\n"
    configuration(node).write_text(text)
    shutil.chown(configuration(node), "postgres", "postgres")


def build(nodes: tuple[PostgresNode, ...], key: Path) -> RepmgrCluster:
    """Register the first, running node as primary; clone and register the others from it."""
    first, *others = nodes
    for number, node in enumerate(nodes, start=1):
        configure(node, number, key, first)
    first.psql("CREATE ROLE repmgr SUPERUSER LOGIN; CREATE DATABASE repmgr OWNER repmgr;")
    cluster = RepmgrCluster(nodes)
    cluster.repmgr(first, "primary", "register")
    for node in others:
        cluster.add_standby(node, of=first)
    return cluster


def _in_recovery(node: PostgresNode) -> bool:
    return node.psql("SELECT pg_is_in_recovery()") == "t"
