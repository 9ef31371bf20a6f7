"""A platform: the clusters that it consists of, and its runbooks as parts of one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from prefect import Flow

from blocks.load import load_cluster
from flows._own_database import refuse_ours
from flows._platform_nights import keep_outcome
from flows._procedure import PROCEDURES, Procedure
from runbook import fact, note
from runbook.cluster import Cluster
from runbook.errors import RunbookError, SettingsError
from runbook.lock import only_run
from runbook.parts import Parts, failure_of
from runbook.places import state_directory
from runbook.run import current

_SETTINGS = "settings"
"""What a part is named after that fails before any runbook: the settings of its cluster."""


@dataclass(frozen=True)
class WholePlatform:
    """The clusters of a platform, the one that names the others first, and what is done of it."""

    clusters: tuple[Cluster, ...]
    reason: str
    parts: Parts = field(default_factory=Parts)
    unread: tuple[str, ...] = ()
    """Clusters whose settings cannot be read: what they have is not known."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs for the same platform away; its clusters stay free between its parts."""
        first, run = self.clusters[0], current()
        locks, holder = state_directory() / "locks", f"{run.runbook} {run.id}"
        name = f"platform {first}"
        with nullcontext() if run.planning else only_run(locks, name, first.hosts, holder=holder):
            yield

    def back_up(self, runbook: Flow[..., Any]) -> None:
        """Walk through a runbook on every cluster that has the setting which it needs."""
        part = PROCEDURES[runbook.name]
        having = [cluster for cluster in self.clusters if cluster.has(part.needs)]
        for cluster in self.clusters:
            if cluster not in having:
                self.parts.leave_out(part.name, cluster.name)
        if not having:
            self._nowhere(part)
        for cluster in having:
            work = partial(self._walk, part, cluster)
            ended = self.parts.carry_out(part.name, cluster.name, work)
            if not current().planning:
                keep_outcome(ended.outcome, part.name, cluster.name)

    def _nowhere(self, part: Procedure) -> None:
        """Tell of a part that no cluster has, or none of those whose settings can be read."""
        why, known = f"no cluster of the platform has {part.needs}", not self.unread
        if not known:
            why += f", as far as settings can be read (not those of {', '.join(self.unread)})"
        note(f"{part.name}: {why}")
        self.parts.end(part.name, "", "not set" if known else "not known", why=why)

    def _walk(self, part: Procedure, cluster: Cluster) -> None:
        """Follow its page; in act mode no other run may be at work on the cluster meanwhile.

        Locks are taken or refused at once, never waited for: two platforms cannot hold each other.
        """
        run = current()
        refuse_ours(cluster)
        locks, holder = state_directory() / "locks", f"{run.runbook} {run.id}"
        with (
            nullcontext()
            if run.planning
            else only_run(locks, cluster.name, cluster.hosts, holder=holder)
        ):
            part.body(cluster=cluster.name, reason=self.reason, dry_run=run.planning)


def whole_platform(cluster: str, reason: str) -> WholePlatform:
    """Give the clusters of a platform; one whose settings cannot be used fails as a part."""
    first = load_cluster(cluster)
    names = first.platform.clusters if first.platform else ()
    parts, found, unread = Parts(), [first], list[str]()
    for name in dict.fromkeys(names):
        if name == cluster:
            continue
        member, error = _loaded(name)
        if member is None:
            unread.append(name)
        else:
            found.append(member)
            error = _unfit(member, first)
        if error is not None:
            parts.end(_SETTINGS, name, "failed", error=error)
    platform = WholePlatform(tuple(found), reason, parts, tuple(unread))
    fact("platform", ", ".join(map(str, platform.clusters)))
    if first.platform is None:
        note(f"cluster {cluster} has no setting platform: it alone is backed up")
    return platform


def _loaded(name: str) -> tuple[Cluster | None, RunbookError | None]:
    """Load the settings of a member; whatever goes wrong with them costs only its own parts."""
    try:
        return load_cluster(name), None
    except Exception as error:  # noqa: BLE001 - a part that fails stops no other
        return None, failure_of(error, f"settings of {name}")


def _unfit(member: Cluster, first: Cluster) -> RunbookError | None:
    """Tell what a member's settings ask for that a run of the platform does not do."""
    needs = _needs(current().runbook)
    if not any(map(member.has, needs)):
        return SettingsError(
            f"the platform of {first} names cluster {member}, and nothing of it is backed up",
            detail=f"it has none of: {', '.join(needs)}",
            hint="Set what it shall be backed up with, or take it out of platform.clusters.",
        )
    if member.audit is not None and member.audit != first.audit:
        return SettingsError(
            f"cluster {member} has its audit record copied elsewhere than the platform of {first}",
            detail="the record of this run is copied where the settings of the platform's first "
            f"cluster say: {first.audit.store if first.audit else 'nowhere'}, not "
            f"{member.audit.store}; its parts are backed up all the same",
            hint=f"Give both the same setting audit, or take {member} out of platform.clusters.",
        )
    return None


def _needs(runbook: str) -> Sequence[str]:
    parts = [each for each in PROCEDURES.values() if each.part_of == runbook]
    return sorted({each.needs for each in parts})
