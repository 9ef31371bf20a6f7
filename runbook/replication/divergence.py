"""Where a node's history left the primary's, and what only the node holds since then."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.errors import CommandFailed
from runbook.postgres import Node
from runbook.postgres.state import ControlData
from runbook.replication.history import (
    Ancestor,
    node_bytes,
    node_history,
    parted,
    primary_bytes,
    primary_history,
)
from runbook.tools import pg_waldump
from runbook.units import Lsn, readable_bytes

_CHECKPOINT_BYTES = (
    100  # that a checkpoint record has at least, its checksum and its moment among them
)


@dataclass(frozen=True)
class Divergence:
    """What a node's data directory holds that the primary does not.

    `fork` is where the primary's history went on without the node, None while both are on one
    timeline; `end` where the node's WAL ends. The commits are those in between, unless nobody can
    count them: then `gone` tells what is missing, the node's WAL of then or its history.
    """

    timeline: int
    fork: Lsn | None
    end: Lsn
    commits: int = 0
    first: str = ""
    last: str = ""
    gone: str = ""

    @property
    def diverged(self) -> bool:
        """Tell whether the node went further than the primary's history did with it."""
        return bool(self.gone) or (self.fork is not None and self.end > self.fork)

    @property
    def told(self) -> str:
        """Give a sentence for the plan."""
        if self.fork is None and self.gone:
            return f"COMMITS THAT NOBODY CAN COUNT ({self.gone})"
        if self.fork is None or not self.diverged:
            return f"nothing: its WAL ends at {self.end}, and the primary's history goes on there"
        size = readable_bytes(self.end - self.fork)
        where = f"{size} of WAL on timeline {self.timeline}, from {self.fork} to {self.end}"
        if self.gone:
            return f"COMMITS THAT NOBODY CAN COUNT ({where}; {self.gone})"
        if not self.commits:
            return f"no commit ({where})"
        number = "1 commit" if self.commits == 1 else f"{self.commits} commits"
        when = (
            self.first
            if self.commits == 1
            else f"the first at {self.first}, the last at {self.last}"
        )
        return f"{number}, {when} ({where})"


def divergence(node: Node, primary: Node, seen: ControlData) -> Divergence:
    """Compare the histories of both, and read the node's WAL after the fork; nothing is changed."""
    timeline = seen.newest_timeline
    mine, theirs = node_history(node, timeline), primary_history(primary)
    fork = parted(mine, theirs)
    reached = max(seen.checkpoint, seen.needed)
    if fork is None:
        strange = _strange(node, primary, seen, mine[0], theirs[0])
        return Divergence(timeline, None, reached, gone=strange)
    directory, user = node.directory(), node.os_user
    first_file = seen.wal_file(timeline, fork)
    command = pg_waldump.commits(
        node.program("pg_waldump"), directory, first_file, str(fork), user=user
    )
    counted, _, said = node.host.run(command).stdout.strip().partition("\n")
    number, first, last = counted.split("|")
    if pg_waldump.GONE in said:
        return Divergence(timeline, fork, reached, gone=said)
    ends = pg_waldump.ENDS.findall(said)
    if said and not ends:
        raise CommandFailed(
            f"what only {node} holds cannot be counted",
            detail=f"pg_waldump on {node.host}, from {fork} in {first_file}: {said}",
            hint="Nothing was changed. Read its WAL by hand before you let it go.",
        )
    # A server that was stopped in good order has written its checkpoint last, and that itself.
    known = Lsn(reached.position + 1) if seen.state == "shut down" else reached
    found = Lsn(ends[-1]) if ends else fork
    end = found if known < found else known
    return Divergence(timeline, fork, end, int(number), first, last)


def _strange(node: Node, primary: Node, seen: ControlData, mine: Ancestor, theirs: Ancestor) -> str:
    """Tell why two histories that do not part are not one; empty: nothing speaks against it.

    Two servers that were restored from one backup may go on under the same numbers: then their WAL
    differs where the node's last checkpoint stands, if the primary still has that file.
    """
    if mine.timeline != theirs.timeline:
        return f"which timelines {node} went through is not known: its .history file is missing"
    file = seen.wal_file(seen.timeline, seen.checkpoint)
    offset = seen.checkpoint.position % seen.segment_size
    here = node_bytes(node, file, offset, _CHECKPOINT_BYTES)
    there = primary_bytes(primary, file, offset, _CHECKPOINT_BYTES)
    if here == there or not here or not there:
        return ""
    return f"its WAL at {seen.checkpoint} in {file} is not that of {primary}: they went on apart"
