"""The restore of a whole cluster: its primary from a backup, its standbys from that primary."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.errors import CommandFailed, Unreachable
from runbook.postgres import Node
from runbook.replication.clone import Clone
from runbook.replication.following import following
from runbook.replication.lineup import Lineup
from runbook.replication.metadata import Metadata
from runbook.restore.job import Restore
from runbook.restore.place import look, whole_place
from runbook.restore.targets import Targets


@dataclass(frozen=True)
class ClusterRestore:
    """Every node's part, what repmgr must know of it, and the restore of the primary."""

    lineup: Lineup
    metadata: Metadata
    primary: Restore

    @property
    def standbys(self) -> tuple[Node, ...]:
        """Give the nodes that are cloned from the primary."""
        return self.lineup.standbys

    def origin(self) -> str:
        """Name the data that standbys are cloned of: this very restore, and no earlier one."""
        mark = self.primary.mark()
        when = mark.stamp if mark is not None else "(not yet)"
        return f"{self.primary.node}, restored from {self.primary.backup.id} at {when}"

    def is_cloned(self, node: Node) -> bool:
        """Tell whether a node's data is a clone of this restore, whether or not it runs.

        A standby of before is none, however well it streams: on the old timeline it could.
        """
        if not self.primary.in_place():
            return False
        place = whole_place(look(node.host, node.directory(), node.os_user))
        job = Clone(following(node, self.primary.node), Targets(place, {}), self.origin())
        return job.mark() is not None

    def is_done(self) -> bool:
        """Tell whether nothing is left to be done on any node."""
        if not self.primary.in_place() or not self.primary.closed():
            return False
        try:
            return self.metadata.is_right() and all(map(self._is_sound, self.standbys))
        except (Unreachable, CommandFailed):
            return False

    def _is_sound(self, node: Node) -> bool:
        return self.is_cloned(node) and not following(node, self.primary.node).problem()
