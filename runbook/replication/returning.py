"""A node that was in service before, and the way it returns as a standby."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from runbook.postgres import Node
from runbook.postgres.state import ControlData
from runbook.replication.clone import Clone
from runbook.replication.divergence import Divergence
from runbook.replication.half_rejoin import HalfRejoin
from runbook.restore.place import Place
from runbook.run import current

# Arguments: what was kept, data directory. By coreutils alone: cmp is not on every node.
NO_SERVER_SINCE = """[ -e "$1/pg_control" ] || exit 1
kept=$(sha256sum <"$1/pg_control") && now=$(sha256sum <"$2/global/pg_control") &&
[ "$kept" = "$now" ]
"""


class Way(Enum):
    """How a node becomes a standby again; the value is what the plan says."""

    NONE = "nothing to do: it is a sound standby"
    PLAIN = "repmgr node rejoin: its history is a part of the primary's"
    REWIND = "repmgr node rejoin --force-rewind: pg_rewind takes back what only it holds"
    CLONE = "a new clone of the primary; its data directory is set aside as it is"


@dataclass(frozen=True)
class Return:
    """A node on its way back. `void`: a rejoin of before has not made it stream.

    `clean`: its server was, or will have been, stopped in good order.
    """

    clone: Clone
    way: Way
    clean: bool = True
    alone: Divergence | None = None
    void: bool = False

    def __str__(self) -> str:
        return self.clone.node.name

    @property
    def node(self) -> Node:
        """Give the node that returns."""
        return self.clone.node

    @property
    def primary(self) -> Node:
        """Give the server that it is to follow."""
        return self.clone.primary

    @property
    def data(self) -> Place:
        """Give the place of its data directory."""
        return self.clone.places.data

    @property
    def kept(self) -> str:
        """Name the directory that keeps its WAL since the fork, and its configuration."""
        return kept_directory(self.data, self.alone)

    @property
    def half(self) -> HalfRejoin:
        """Give what a rejoin leaves beside the data until the node has proven itself."""
        return HalfRejoin(self.node, self.data)

    def is_prepared(self) -> bool:
        """Tell whether the data directory is that of a standby of the primary."""
        if self.way is Way.NONE:
            return True
        if self.way is Way.CLONE:
            return self.clone.in_place()
        by = self.half.rejoined_by()
        if by and (not self.void or by == current().id):
            return True
        return not self.void and not self.clone.following.problem()

    def is_kept(self) -> bool:
        """Tell whether what only the node holds is kept: no server has run there since."""
        argv = ("sh", "-c", NO_SERVER_SINCE, "same", self.kept, self.data.live)
        return self.is_prepared() or self.node.host.holds(*argv, user=self.node.os_user)


def kept_directory(data: Place, alone: Divergence | None) -> str:
    """Name the directory after the timeline and the position of the fork."""
    if alone is None or alone.fork is None:
        return ""
    return data.diverged(f"{alone.timeline}-{str(alone.fork).replace('/', '_')}")


def way_of(control: ControlData, alone: Divergence, *, running: bool) -> Way:
    """Choose the way by what both servers' histories say."""
    as_standby = control.state in ("shut down in recovery", "in archive recovery")
    clean = control.cleanly_stopped or running
    if alone.fork is None:
        return Way.PLAIN if as_standby and clean and not alone.gone else Way.CLONE
    writes = running and not as_standby
    if clean and not alone.diverged and not writes:
        return Way.PLAIN
    if alone.gone or (not clean and alone.end < alone.fork):
        return Way.CLONE
    return Way.REWIND if control.rewindable else Way.CLONE
