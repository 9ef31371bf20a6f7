"""repmgr's own daemon on nodes of a repmgr cluster: started, asked and ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.lab import processes
from tests.lab.postgres import PostgresNode
from tests.lab.repmgr import RepmgrCluster, configuration

_SETTINGS = """
failover = {failover}
promote_command = '{program} -f {file} standby promote'
follow_command = '{program} -f {file} standby follow --upstream-node-id=%n'
reconnect_attempts = 2
reconnect_interval = 1
monitor_interval_secs = 1
"""


@dataclass(frozen=True)
class Daemons:
    """The repmgrd of each node; `automatic` ones promote a standby when the primary is gone."""

    cluster: RepmgrCluster
    automatic: bool = False

    def start(self, *nodes: PostgresNode) -> None:
        """Start the daemon on the given nodes, or on all; return when it is known to run."""
        for node in nodes or self.cluster.nodes:
            file, program = configuration(node), node.bin_directory / "repmgr"
            if "promote_command" not in file.read_text():
                failover = "automatic" if self.automatic else "manual"
                text = _SETTINGS.format(failover=failover, program=program, file=file)
                with file.open("a") as settings:
                    settings.write(text)
            argv: list[str | Path] = [node.bin_directory / "repmgrd", "-f", file, "--daemonize"]
            processes.run(argv, user="postgres", mark=node.host.lab)
        wanted = nodes or self.cluster.nodes
        processes.until(lambda: all(map(self.running, wanted)), "repmgrd runs")

    def stop(self, *nodes: PostgresNode) -> None:
        """End the daemon on the given nodes, or on all."""
        for node in nodes or self.cluster.nodes:
            pid = self.pid(node)
            processes.end([pid] if pid else [])

    def pid(self, node: PostgresNode) -> int:
        """Give the daemon's process id, 0 when it does not run."""
        file = node.directory / "repmgrd.pid"
        pid = int(file.read_text().strip() or 0) if file.exists() else 0
        return pid if pid and processes.alive(pid) else 0

    def running(self, node: PostgresNode) -> bool:
        """Ask PostgreSQL whether it knows of a running daemon."""
        return bool(self.pid(node)) and node.psql(_ASK, database="repmgr").startswith("t")

    def paused(self, node: PostgresNode) -> bool:
        """Ask PostgreSQL whether the daemon of this node is paused."""
        return node.psql(_ASK, database="repmgr").endswith("t")


_ASK = "SELECT repmgr.repmgrd_is_running(), repmgr.repmgrd_is_paused()"
