"""Who hands over to whom: observed, never remembered, so that a second run finds it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from runbook.cluster import Cluster
from runbook.errors import CheckFailed
from runbook.postgres import Node
from runbook.replication.members import Member, repmgr_of
from runbook.replication.survey import Survey

Mode = Literal["planned", "failover"]

_UNSET = "127.0.0.1"  # the default of a node's address, which no other host could reach


@dataclass(frozen=True)
class Handover:
    """A promotion: of `new`, in the place of `old`.

    `old` is unknown only when it has been replaced long ago. `promoted_at` is empty until repmgr
    has written the promotion of `new` down; `begun` tells that `old` was stopped by a run before,
    `reachable` whether anybody can log in to its host.
    """

    cluster: Cluster
    mode: Mode
    new: Node
    old: Node | None
    survey: Survey
    members: tuple[Member, ...]
    rows: Mapping[str, Member]
    promoted: bool = False
    promoted_at: str = ""
    begun: bool = False
    reachable: bool = True

    @property
    def question(self) -> str:
        """Give what a person is asked."""
        if self.promoted:
            return f"The promotion of {self.new} is brought to its end."
        lost = "nothing is lost" if self.mode == "planned" else "what MAY BE LOST stands above"
        if self.begun:
            return (
                f"{self.old} IS STOPPED ALREADY and nobody can write: shall {self.new} be promoted "
                "in its place? Nothing is lost; the way back stands above."
            )
        return f"{self.old} hands over to {self.new} ({self.mode}): writes stop meanwhile; {lost}."

    def was_promoted(self) -> bool:
        """Tell whether the promotion had been done when the run looked first.

        Until this run promotes, nobody else does: it holds the cluster.
        """
        return self.promoted

    def is_promoted(self) -> bool:
        """Ask the new primary whether it accepts writes."""
        return self.new.accepts_writes()

    def row(self, node: Node) -> Member:
        """Give the row of a node in the metadata; CheckFailed when it has none."""
        if node.name not in self.rows:
            raise CheckFailed(
                f"repmgr does not know node {node}",
                detail=f"it knows {', '.join(f'{m.name} ({m.node_id})' for m in self.members)}",
                hint=f"Register it: repmgr -f {repmgr_of(node).configuration} standby register -F.",
            )
        return self.rows[node.name]

    @property
    def address(self) -> str:
        """Give the address that applications reach the new primary at."""
        if self.new.address != _UNSET:
            return self.new.address
        return self.row(self.new).address.rpartition(":")[0]

    @property
    def port(self) -> int | None:
        """Give the new primary's port where it differs from the old one's."""
        same = self.old is None or self.old.port == self.new.port
        return None if same else self.new.port

    @property
    def siblings(self) -> tuple[Node, ...]:
        """Give the other standbys that answer: those that must follow."""
        out = {self.new.name, self.old.name if self.old else ""}
        return tuple(node for node in self.survey.standbys if node.name not in out)

    def not_beyond(self, seen: Survey) -> tuple[Node, ...]:
        """Give the other standbys that have not come further than the new primary."""
        most = seen.state(self.new).reached
        return tuple(node for node in self.siblings if seen.state(node).reached <= most)

    @property
    def able(self) -> tuple[Node, ...]:
        """Give the other standbys that can follow, by what is known before the promotion."""
        if self.mode == "planned" or self.still_sent:
            return self.siblings
        return self.not_beyond(self.survey)

    @property
    def still_sent(self) -> tuple[Node, ...]:
        """Give the standbys that receive WAL: their primary lives, whoever cannot log in to it."""
        return tuple(node for node in self.survey.standbys if self.survey.state(node).streams)

    @property
    def living(self) -> Cluster:
        """Give the cluster without the nodes that do not answer: asking those takes its time."""
        silent = {node.name for node in self.survey.silent}
        nodes = tuple(node for node in self.cluster.nodes if node.name not in silent)
        return self.cluster.model_copy(update={"nodes": nodes})

    @property
    def silent(self) -> tuple[Node, ...]:
        """Give the nodes besides the old primary that do not answer."""
        old = self.old.name if self.old else ""
        return tuple(node for node in self.survey.silent if node.name != old)
