"""Where a node's history left the primary's, and what only the node holds since then."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.errors import CommandFailed
from runbook.postgres import Node
from runbook.postgres.state import ControlData
from runbook.replication.history import node_history, parted, primary_history
from runbook.tools import pg_waldump
from runbook.units import Lsn, readable_bytes


@dataclass(frozen=True)
class Divergence:
    """What a node's data directory holds that the primary does not.

    `fork` is where the primary's history went on without the node, None while both are on one
    timeline; `end` where the node's WAL ends. The commits are those in between, unless the node
    has no longer all of that WAL: then `gone` tells what is missing.
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
        return self.fork is not None and self.end > self.fork

    @property
    def told(self) -> str:
        """Give a sentence for the plan."""
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
    timeline = max(seen.timeline, seen.needed_timeline)
    theirs = primary_history(primary)
    fork = parted(node_history(node, timeline), theirs)
    reached = max(seen.checkpoint, seen.needed)
    if fork is None:
        return Divergence(timeline, None, reached)
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
