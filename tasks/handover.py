"""Who hands over to whom in a promotion, what is lost by it, and what it leaves to others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runbook import check, fact, note
from runbook.cluster import Cluster
from runbook.errors import Interrupted, RunbookError
from runbook.replication.evidence import gathered
from runbook.replication.handover import Handover, Mode
from runbook.replication.loss import Loss
from runbook.replication.newer import newer
from runbook.replication.observing import observed
from runbook.replication.readiness import readiness
from runbook.replication.survey import Survey, survey
from runbook.replication.way_back import told_to, way_back
from tasks import candidate, metadata
from tasks._task import task


@task("choose the node to promote")
def choose(cluster: Cluster, to: str, mode: Mode, *, accept_behind: bool) -> Handover:
    """Find out who hands over to whom, and insist that the new primary is fit for it."""
    job = observed(cluster, to, mode)
    _tell(job)
    _nobody_went_on(job, accept_behind=accept_behind)
    if job.promoted:
        return job
    evidence = gathered(job)
    metadata.fits(job)
    candidate.is_a_healthy_standby(job)
    if evidence.loss is not None:
        _has_come_furthest(job, evidence.loss, accept_behind=accept_behind)
    elif not job.begun:
        candidate.follows_closely(job, evidence)
    candidate.settings_fit(job, evidence.settings)
    return job


@contextmanager
def way_back_told(cluster: Cluster) -> Iterator[None]:
    """Tell in an error how the old primary comes back, where a run of before has stopped it."""
    try:
        yield
    except Interrupted:
        raise
    except RunbookError as error:
        told_to(cluster, error)
        raise


@task("see that no standby has come further")
def nobody_is_ahead(job: Handover, *, accept_behind: bool) -> None:
    """Compare the standbys once more in a failover: only now they receive nothing any more."""
    if job.mode == "failover" and job.still_sent and not job.promoted:
        _furthest(job, lambda: survey(job.living), accept_behind=accept_behind)
        candidate.waits_for_nobody(
            job,
            lambda: readiness([job.new])[job.new.name].synchronous_standby_names,
            lambda: job.not_beyond(survey(job.living)),
        )


@task("say what remains to be done")
def conclude(job: Handover) -> None:
    """Tell what the promotion leaves to others."""
    new, old = job.new, job.old
    note(f"Take a base backup of {job.cluster} now: the timeline is a new one.")
    if old is not None and old.name not in {node.name for node in job.survey.standbys}:
        note(f"{old} stays stopped, with its data: the runbook rejoin makes it a standby of {new}.")
    for node in job.silent:
        note(f"{node} did not answer: standby-rebuild or repmgr standby follow brings it back.")


def _tell(job: Handover) -> None:
    if job.promoted:
        when = job.promoted_at or "by a run that did not finish"
        fact("promotion", f"{job.new} was promoted already, {when}; only what is missing is done")
        note(f"To promote another node, name it: to=... ({job.new} is the primary now).")
        return
    fact("promotion", f"{job.old} hands over to {job.new} ({job.mode})")
    if job.begun and job.old is not None:
        fact("NOBODY CAN WRITE", f"{job.old} is stopped already, by a run of before or by hand")
        fact("way back instead", way_back(job.cluster, job.old))
    for seen in job.survey.seen:
        if seen.state is not None:
            role = "standby" if seen.state.in_recovery else "primary"
            fact(str(seen.node), f"{role}, timeline {seen.state.timeline}")
            fact(f"position of {seen.node}", seen.state.reached, bound=False)
        else:
            fact(str(seen.node), "does not answer")
    for node in job.silent:
        note(f"{node} does not answer and is left out: standby-rebuild brings it back later.")


def _nobody_went_on(job: Handover, *, accept_behind: bool) -> None:
    """Insist that no node, silent or not, was the primary after what the new one has."""
    new, mine, found = job.new, job.survey.state(job.new).timeline, newer(job)
    accept = "mode=failover and accept_behind=true" if job.begun else "accept_behind=true"
    writers = ", ".join(map(str, job.survey.writable))
    back = f"stop {writers} first, then start it" if writers else "start it"
    check(
        f"no node is on a newer timeline than {new} ({mine})",
        lambda: not found.timelines,
        seen=lambda: found.told,
        unless=lambda: accept_behind and not job.begun,
        hint=f"It was the primary, or followed it, after what {new} has, and holds what was "
        f"written since: {back}, or promote one of its standbys. Where that is gone for good or "
        f"not wanted (a promotion by mistake, a restore to an earlier moment): {accept}.",
    )
    if found.timelines:
        lacks = f"{new} has nothing of what was written there"
        fact("OLDER DATA", f"{found.told}: {lacks}; nothing fences it: keep it off until a rebuild")
    if found.unknown and (job.promoted or not job.survey.writable):
        fact("NOT KNOWN", f"whether these were the primary since: {', '.join(found.unknown)}")
        why = "; ".join(f"{name}: {said}" for name, said in found.unknown.items())
        fact("why not known", why, bound=False)


def _has_come_furthest(job: Handover, lost: Loss, *, accept_behind: bool) -> None:
    new, moving = job.new, bool(job.still_sent)
    if moving:
        names = ", ".join(map(str, job.still_sent))
        fact("STILL ALIVE", f"{names} receives from {job.old}, although nobody gets in there")
    else:
        _furthest(job, lambda: job.survey, accept_behind=accept_behind)
        if accept_behind and _ahead(job, job.survey):
            behind = f"{_ahead(job, job.survey)} has come further than {new}"
            fact("ACCEPTED", f"{behind}, cannot follow it, and is left out")
    fact("MAY BE LOST", lost.told, bound=not moving)
    state = job.survey.state(new)
    told = f"received up to {state.received}, replayed up to {state.replayed}"
    fact(f"{new} has", told, bound=not moving)
    if job.old is not None and not job.reachable:
        note(f"{job.old.host} does not answer: it is fenced by its settings or by a statement.")


def _furthest(job: Handover, seen: Callable[[], Survey], *, accept_behind: bool) -> None:
    """Insist that the new primary has come as far as any other standby, or that people know."""
    check(
        f"no standby has come further than {job.new}",
        lambda: not _ahead(job, seen()),
        seen=lambda: seen().told,
        unless=lambda: accept_behind,
        hint="Promote the one that has come furthest; or accept the loss: accept_behind=true.",
    )


def _ahead(job: Handover, seen: Survey) -> str:
    mine = seen.state(job.new).reached
    return ", ".join(str(node) for node in job.siblings if seen.state(node).reached > mine)
