"""The whole cluster at one moment: every node asked at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from runbook.cluster import Cluster
from runbook.errors import CheckFailed, CommandFailed, HostUnreachable, Unreachable
from runbook.postgres import Node
from runbook.replication.server import ServerState, look


@dataclass(frozen=True)
class Seen:
    """A node and what it answered; without an answer `why` tells what was met instead.

    `reachable` is False when not even its host let anybody log in.
    """

    node: Node
    state: ServerState | None
    why: str = ""
    reachable: bool = True

    def __str__(self) -> str:
        if self.state is None:
            return f"{self.node}: no answer"
        role = "standby" if self.state.in_recovery else "primary"
        return f"{self.node}: {role}, timeline {self.state.timeline}, at {self.state.reached}"


@dataclass(frozen=True)
class Survey:
    """Every node of a cluster, as it answered or did not."""

    seen: tuple[Seen, ...]

    @property
    def writable(self) -> tuple[Node, ...]:
        """Give the nodes that accept writes; two are a split brain."""
        return tuple(s.node for s in self.seen if s.state is not None and not s.state.in_recovery)

    @property
    def standbys(self) -> tuple[Node, ...]:
        """Give the nodes that answer and are in recovery."""
        return tuple(s.node for s in self.seen if s.state is not None and s.state.in_recovery)

    @property
    def silent(self) -> tuple[Node, ...]:
        """Give the nodes that do not answer."""
        return tuple(s.node for s in self.seen if s.state is None)

    @property
    def told(self) -> str:
        """Give one line for each node."""
        return "; ".join(map(str, self.seen))

    def state(self, node: Node) -> ServerState:
        """Give what a node answered; Unreachable when it did not."""
        for seen in self.seen:
            if seen.node.name == node.name and seen.state is not None:
                return seen.state
            if seen.node.name == node.name:
                raise Unreachable(
                    f"PostgreSQL on {node} does not answer",
                    detail=seen.why,
                    hint=f"Is it running on {node.host}? See its log there.",
                )
        raise CheckFailed(f"node {node} was not asked", detail=self.told)

    def reaches(self, node: Node) -> bool:
        """Tell whether anybody could log in to the node's host."""
        return all(seen.reachable for seen in self.seen if seen.node.name == node.name)

    def only_writer(self, *, but: tuple[Node, ...] = ()) -> Node:
        """Give the one node that accepts writes, all others but `but` asked.

        CheckFailed when there are two, Unreachable when there is none.
        """
        found = [node for node in self.writable if node.name not in {other.name for other in but}]
        if len(found) > 1:
            raise CheckFailed(
                f"{len(found)} nodes accept writes: {', '.join(map(str, found))}",
                detail=self.told,
                hint="A split brain. Stop everything that writes, and find out which one is right.",
            )
        if not found:
            raise Unreachable(
                "no node accepts writes",
                detail=self.told,
                hint="Is PostgreSQL running there? See its log on the host.",
            )
        return found[0]


def survey(cluster: Cluster) -> Survey:
    """Ask every node of a cluster at once."""
    with ThreadPoolExecutor(max_workers=len(cluster.nodes)) as pool:
        return Survey(tuple(pool.map(_ask, cluster.nodes)))


def _ask(node: Node) -> Seen:
    try:
        return Seen(node, look(node))
    except HostUnreachable as error:
        return Seen(node, None, error.detail or error.message, reachable=False)
    except (Unreachable, CommandFailed) as error:
        return Seen(node, None, error.detail or error.message)
