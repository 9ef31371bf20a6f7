"""Nodes that went on after what a promotion builds on; the silent ones, too: their files say so."""

from __future__ import annotations

from dataclasses import dataclass, field

from runbook.errors import RunbookError
from runbook.replication.handover import Handover
from runbook.replication.survey import Seen


@dataclass
class Newer:
    """Nodes of the same system on a newer timeline, with that; and those that nobody can ask."""

    timelines: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """Name the nodes with their timelines."""
        return ", ".join(f"{name}: timeline {number}" for name, number in self.timelines.items())


def newer(job: Handover) -> Newer:
    """Look for nodes on a newer timeline than the new primary: they were, or followed, one since.

    Standbys that answer count once it is promoted; before, its fitness is measured by them. What
    a failover cannot ask its old primary is told as what may be lost.
    """
    found, mine = Newer(), job.survey.state(job.new)
    for seen in job.survey.seen:
        name = seen.node.name
        if seen.state is not None and not job.promoted:
            continue
        try:
            system, timeline = _history(seen)
        except RunbookError as error:
            if job.promoted or job.old is None or name != job.old.name:
                found.unknown[name] = error.message
            continue
        if system == mine.system_identifier and timeline > mine.timeline:
            found.timelines[name] = timeline
    return found


def _history(seen: Seen) -> tuple[str, int]:
    """Give system identifier and timeline; a server that hangs has a control file like any."""
    if seen.state is not None:
        return seen.state.system_identifier, seen.state.timeline
    if not seen.reachable:
        raise RunbookError(f"{seen.node.host} does not answer")
    control = seen.node.controldata()
    return control.system_identifier, control.newest_timeline
