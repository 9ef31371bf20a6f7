"""What a replication scene tells of its nodes, seen from outside."""

from __future__ import annotations

from pathlib import Path

from tests.lab import judge, shop
from tests.lab.postgres import PostgresNode
from tests.lab.repmgr import RepmgrCluster
from tests.laws.asides import asides


class Judged:
    """A repmgr cluster under judgement."""

    cluster: RepmgrCluster

    @property
    def nodes(self) -> tuple[PostgresNode, ...]:
        """All nodes in the order of their ids, which begin with 1."""
        return self.cluster.nodes

    @property
    def primary(self) -> PostgresNode:
        """The one node that is not in recovery now."""
        return self.cluster.primary

    @property
    def standbys(self) -> tuple[PostgresNode, ...]:
        """The running nodes that are in recovery now."""
        return self.cluster.standbys

    def node(self, name: str) -> PostgresNode:
        """Give a node by name."""
        (found,) = (node for node in self.nodes if node.name == name)
        return found

    def writable(self) -> tuple[str, ...]:
        """Name the nodes that accept writes from a client: exactly one is right."""
        return judge.writable(self.nodes)

    def streaming(self, primary: PostgresNode | None = None) -> dict[str, judge.Stream]:
        """Give the standbys that stream from a node, by name, with their timelines."""
        return judge.streaming(primary or self.primary, self.nodes)

    def slots(self, node: PostgresNode) -> dict[str, judge.Slot]:
        """Give a node's physical slots by name."""
        return judge.slots(node)

    def show(self, node: PostgresNode) -> dict[int, tuple[int, int]]:
        """Give repmgr's view on a node: id -> (availability, recovery)."""
        return judge.cluster_show(self.cluster, node)

    def servers(self) -> dict[str, list[str]]:
        """Give the names of the directories that a postmaster is at work in, by host."""
        return {node.name: [path.name for path in judge.servers(node)] for node in self.nodes}

    def strays(self) -> list[str]:
        """List processes, base backups and temporary slots that a run has left on any node."""
        return [line for node in self.nodes for line in judge.strays(node)]

    def fingerprint(self, node: PostgresNode) -> str:
        """Give counts and checksums of the shop on a node."""
        return shop.fingerprint(node)

    def aside(self, node: PostgresNode) -> list[Path]:
        """Name the data directories of a node that were set aside."""
        return asides(node.data_directory)
