"""Where a primary's timeline left the one before it."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.postgres import Node
from runbook.replication.ending import whole_until
from runbook.replication.history import primary_history
from runbook.replication.server import ServerState
from runbook.units import Lsn


@dataclass(frozen=True)
class Fork:
    """A timeline, and where it began; None for the first one."""

    timeline: int
    begin: Lsn | None

    def leaves_behind(self, standby: Node, state: ServerState) -> bool:
        """Tell whether a standby has more of the old timeline than this one shares with it."""
        if self.begin is None or state.timeline >= self.timeline:
            return False
        return whole_until(standby, state) > self.begin


def fork(primary: Node) -> Fork:
    """Ask a primary for its timeline, and read from its history where that began."""
    *before, now = primary_history(primary)
    return Fork(now.timeline, before[-1].end if before else None)
