"""Which node returns, what only it holds, and by which way it can: all before the first change."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal

from runbook import check, fact, note
from runbook.cluster import Cluster
from runbook.errors import CheckFailed, Refused
from runbook.postgres import Node
from runbook.replication import limits
from runbook.replication.clone import Clone
from runbook.replication.divergence import Divergence, divergence
from runbook.replication.following import following
from runbook.replication.half_rejoin import HalfRejoin
from runbook.replication.members import repmgr_of
from runbook.replication.returning import Return, Way, way_of
from runbook.replication.survey import Survey, survey
from runbook.restore.place import kept
from tasks import clones, lost_standby
from tasks._task import task

_SETTLE_SECONDS = 10.0

Method = Literal["auto", "rewind", "clone"]


@dataclass(frozen=True)
class Wishes:
    """What the person who lets a node return may choose."""

    method: Method = "auto"
    stop_writer: bool = False


@task("look at the node that returns")
def inspect(cluster: Cluster, name: str, wishes: Wishes) -> Return:
    """Find the way back, and insist on everything that can be known before a change."""
    for node in cluster.nodes:
        repmgr_of(node)
    found = survey(cluster)
    node = cluster.node(name) if name else _former(cluster, found)
    primary = found.only_writer(but=(node,)).located()
    clone = clones.to_clone(node, primary)
    problem = _settled(clone, found)
    fact("primary", f"{primary}, timeline {found.state(primary).timeline}")
    fact("returns", f"{clone.node} on {node.host} ({node.host.way})")
    fact("data directory", clone.live)
    why = problem.splitlines()[0] if problem else f"none: {node} is a sound standby"
    fact("why", why, bound=False)
    if not problem:
        note(f"{node} is a sound standby of {primary}")
        return Return(clone, Way.NONE)
    job = _way_back(clone, found, wishes)
    _tell(job)
    _can_go(job)
    return job


def _former(cluster: Cluster, found: Survey) -> Node:
    primary = found.only_writer()
    others = [node for node in cluster.nodes if node.name != primary.name]
    lost = [node for node in others if following(node, primary).problem()]
    if len(lost) > 1 or not others:
        raise CheckFailed(
            f"{len(lost)} nodes of {cluster} are not sound standbys: name one",
            detail=found.told,
        )
    return lost[0] if lost else others[0]


def _settled(clone: Clone, found: Survey) -> str:
    """Give what keeps it from being a sound standby, once a standby has had time to connect."""
    problem = clone.following.problem()
    if not problem or clone.node.name not in {node.name for node in found.standbys}:
        return problem
    deadline = time.monotonic() + _SETTLE_SECONDS
    while problem and time.monotonic() < deadline:
        time.sleep(0.5)
        problem = clone.following.problem()
    return problem


def _way_back(clone: Clone, found: Survey, wishes: Wishes) -> Return:
    node = clone.node
    writes = node.name in {each.name for each in found.writable}
    running = writes or node.name in {each.name for each in found.standbys}
    if not running and not node.is_stopped():
        raise CheckFailed(
            f"a server is at work on {node}, and does not answer",
            hint="It may be starting or hanging. Wait, or stop it, and start the runbook again.",
        )
    job = None if writes else _prepared_before(clone, void=running)
    if job is not None:
        return job
    control = node.readable_controldata()
    if control is None:
        return Return(clone, Way.CLONE)
    if control.system_identifier != found.state(clone.primary).system_identifier:
        fact("only the node holds", f"ANOTHER database system: {control.system_identifier}")
        return Return(clone, Way.CLONE)
    alone = divergence(node, clone.primary, control)
    _insist_on_fenced(node, alone, writes=writes, stop_writer=wishes.stop_writer)
    way = way_of(control, alone, running=running)
    job = Return(clone, way, control.cleanly_stopped or running, alone, void=running and not writes)
    return _chosen(job, wishes)


def _prepared_before(clone: Clone, *, void: bool) -> Return | None:
    """Go on where a run before was: with its clone, or with a rewind that was cut short."""
    mark = clone.mark()
    if clone.is_made_ready() or (mark is not None and mark.finished is None):
        return Return(clone, Way.CLONE)
    half = HalfRejoin(clone.node, clone.places.data)
    if half.is_cut_short():
        note("a rewind was interrupted: what it left is no data directory, so it is cloned anew")
        return Return(clone, Way.CLONE)
    if half.rejoined_by() and not void:
        return Return(clone, Way.PLAIN)
    return None


def _insist_on_fenced(node: Node, alone: Divergence, *, writes: bool, stop_writer: bool) -> None:
    """Refuse a split brain, unless stopping the other writer is what the plan is to say."""
    if not writes:
        return
    if not stop_writer:
        raise Refused(
            f"{node} accepts writes as well: a split brain",
            detail=f"only {node} holds: {alone.told}",
            hint="Stop everything that writes there. Then start again with stop_writer=true: the "
            "plan says what only it holds, and stopping it is a part of what is approved.",
        )
    fact("SPLIT BRAIN", f"{node} accepts writes, and will be stopped for good as a primary")


def _chosen(job: Return, wishes: Wishes) -> Return:
    """Apply what was wished for, and what the places and the primary allow."""
    if wishes.method == "clone":
        return replace(job, way=Way.CLONE)
    if job.way is not Way.REWIND:
        if wishes.method == "rewind" and job.way is Way.CLONE:
            raise _no_rewind(job, "neither wal_log_hints nor checksums, or its WAL ends too early")
        return job
    obstacle = _obstacle(job)
    if obstacle and wishes.method == "rewind":
        raise _no_rewind(job, obstacle)
    if obstacle:
        fact("no pg_rewind", obstacle)
    return replace(job, way=Way.CLONE) if obstacle else job


def _no_rewind(job: Return, why: str) -> Refused:
    return Refused(
        f"{job.node} cannot be rewound",
        detail=why,
        hint="Start again with method=auto: it is cloned, and its data is set aside as it is.",
    )


def _obstacle(job: Return) -> str:
    """Tell why pg_rewind must not run: it removes whatever the primary does not have."""
    node = job.node
    if not job.data.whole:
        return f"{job.data.live} stays a directory of its own, and what is kept lies inside it"
    for place in job.clone.places.tablespaces.values():
        there = kept(node.host, place, node.os_user)
        if there["aside"] or there["undone"]:
            return f"old data is kept in {place.live}, which pg_rewind would remove"
    full = job.primary.ask("SELECT current_setting('full_page_writes') AS full")[0]["full"]
    return "" if full == "on" else f"full_page_writes is off on {job.primary}"


def _tell(job: Return) -> None:
    fact("way back", job.way.value)
    if job.alone is None:
        return
    running = job.node.accepts_writes()
    fact("only the node holds", job.alone.told, bound=not running)
    if job.way is Way.REWIND:
        fact("kept", f"its WAL since the fork, and its configuration, in {job.kept}")
    if job.way is Way.CLONE:
        fact("kept", "the whole data directory, until discard-aside removes it")


def _can_go(job: Return) -> None:
    if job.way is Way.CLONE:
        lost_standby.can_be_cloned(job.clone, made_ready=job.clone.ready())
        return
    if not job.is_prepared():
        clones.not_smaller(job.node, job.primary, limits.of_a_return(job.node, job.primary))
    following = job.clone.following
    check(
        f"repmgr on {job.primary} knows {job.node}",
        following.is_known,
        hint=f"Register it first, or start again with method=clone: {job.node} is registered then.",
    )
