"""Which nodes a health check answers for, and which are out of service on purpose."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runbook.cluster import Cluster
from runbook.postgres import Node
from runbook.replication.members import Member

_ID = re.compile(r"\(ID: (\d+)\)")


@dataclass(frozen=True)
class Scope:
    """A cluster, and those of its nodes that are left out: nobody asks them or judges them."""

    cluster: Cluster
    left_out: tuple[Node, ...] = ()

    @classmethod
    def of(cls, cluster: Cluster, serving: Sequence[Node]) -> Scope:
        """Leave out every node of a cluster that is not among those that serve."""
        names = {node.name for node in serving}
        return cls(cluster, tuple(node for node in cluster.nodes if node.name not in names))

    @property
    def serving(self) -> Cluster:
        """Give the cluster without the nodes that are left out."""
        out = {node.name for node in self.left_out}
        nodes = tuple(node for node in self.cluster.nodes if node.name not in out)
        return self.cluster.model_copy(update={"nodes": nodes})

    def leaves_out(self, member: Member) -> bool:
        """Tell whether a row of repmgr's metadata is one of the nodes that are left out."""
        return any(
            member.name == node.name or member.address == f"{node.address}:{node.port}"
            for node in self.left_out
        )

    def ids(self, known: Iterable[Member]) -> frozenset[int]:
        """Give repmgr's ids of the nodes that are left out."""
        return frozenset(member.node_id for member in known if self.leaves_out(member))


def is_only_about(text: str, ids: frozenset[int]) -> bool:
    """Tell whether all nodes that repmgr names in a text, as in `(ID: 2)`, are among these."""
    named = {int(number) for number in _ID.findall(text)}
    return bool(named) and named <= ids
