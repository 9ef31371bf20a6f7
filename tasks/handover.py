"""Before a promotion: who is promoted, and everything that can be known before the outage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from runbook import check, fact, note
from runbook.cluster import Cluster
from runbook.errors import Interrupted, RunbookError
from runbook.postgres import Node
from runbook.replication.evidence import Evidence, gathered
from runbook.replication.handover import Handover, Mode
from runbook.replication.loss import Loss
from runbook.replication.newer import newer
from runbook.replication.observing import observed
from runbook.replication.readiness import Readiness, readiness, synchronous_shortfall
from runbook.replication.survey import Survey, survey
from runbook.replication.way_back import told_to, way_back
from runbook.units import readable_bytes
from tasks import metadata
from tasks._task import task
from tasks.read_only import RESET_IN_CATALOG, way_to_writes

_LAG_BYTES = 16 << 20


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
    _is_a_healthy_standby(job)
    if evidence.loss is not None:
        _has_come_furthest(job, evidence.loss, accept_behind=accept_behind)
    elif not job.begun:
        _follows_closely(job, evidence)
    _settings_fit(job, evidence.settings)
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


def _is_a_healthy_standby(job: Handover) -> None:
    new, state = job.new, job.survey.state(job.new)
    systems = {
        str(seen.node): seen.state.system_identifier
        for seen in job.survey.seen
        if seen.state is not None
    }
    check(
        f"{new} and all others that answer are one database system",
        lambda: len(set(systems.values())) == 1,
        seen=lambda: ", ".join(f"{name}: {system}" for name, system in systems.items()),
        hint="Correct the nodes of the cluster in the inventory.",
    )
    check(
        f"replay on {new} is not paused",
        lambda: not state.replay_paused,
        hint=f"On {new}: SELECT pg_wal_replay_resume().",
    )
    behind = [seen for seen in job.survey.seen if seen.state is not None]
    newest = max(seen.state.timeline for seen in behind if seen.state is not None)
    check(
        f"{new} is on the timeline of the cluster",
        lambda: state.timeline == newest,
        seen=lambda: f"{new}: timeline {state.timeline}, the others: {newest}",
        hint=f"It follows an older history. Promote one on timeline {newest}; rebuild {new} after "
        "that: standby-rebuild. Where the newer history is not wanted: stop those that follow it, "
        "then accept_behind=true (and mode=failover, where nobody writes).",
    )


def _follows_closely(job: Handover, evidence: Evidence) -> None:
    new, old = job.new, job.old
    assert old is not None
    state, ahead = job.survey.state(new), job.survey.state(old)
    name = job.row(new).name
    streams = [sender for sender in evidence.senders if sender.name == name]
    others = ", ".join(sender.name for sender in evidence.senders) or "nobody"
    source = state.receiver.sender_host if state.receiver is not None else "nobody"
    check(
        f"{new} streams from {old}",
        lambda: state.streams and any(sender.state == "streaming" for sender in streams),
        seen=lambda: f"{old} sends to {others}; {new} receives from {source}",
        hint=f"A standby in archive recovery, or of another standby, cannot take over in good "
        f"order. See the log of {new}.",
    )
    lag = (ahead.reached - state.replayed) if state.replayed is not None else ahead.reached.position
    fact(f"lag of {new}", readable_bytes(max(0, lag)), bound=False)
    check(
        f"{new} has replayed all but {readable_bytes(_LAG_BYTES)}",
        lambda: lag <= _LAG_BYTES,
        seen=lambda: f"{readable_bytes(lag)} are missing",
        hint="Wait until it has caught up: the outage would last as long as that.",
    )
    lost = [slot for slot in evidence.slots if slot.wal_status == "lost"]
    check(
        f"no slot on {old} has lost WAL",
        lambda: not lost,
        seen=lambda: ", ".join(map(str, lost)),
        hint="Rebuild the standby it belongs to, or drop it: pg_drop_replication_slot.",
    )


def _has_come_furthest(job: Handover, lost: Loss, *, accept_behind: bool) -> None:
    new, moving = job.new, bool(job.still_sent)
    if moving:
        names = ", ".join(map(str, job.still_sent))
        fact("STILL ALIVE", f"{names} receives from {job.old}, although nobody gets in there")
    else:
        furthest(job, lambda: job.survey, accept_behind=accept_behind)
        if accept_behind and _ahead(job, job.survey):
            behind = f"{_ahead(job, job.survey)} has come further than {new}"
            fact("ACCEPTED", f"{behind}, cannot follow it, and is left out")
    fact("MAY BE LOST", lost.told, bound=not moving)
    state = job.survey.state(new)
    told = f"received up to {state.received}, replayed up to {state.replayed}"
    fact(f"{new} has", told, bound=not moving)
    if job.old is not None and not job.reachable:
        note(f"{job.old.host} does not answer: it is fenced by its settings or by a statement.")


@task("see that no standby has come further")
def nobody_is_ahead(job: Handover, *, accept_behind: bool) -> None:
    """Compare the standbys once more in a failover: only now they receive nothing any more."""
    if job.mode == "failover" and job.still_sent and not job.promoted:
        furthest(job, lambda: survey(job.living), accept_behind=accept_behind)
        _waits_for_nobody(
            job,
            lambda: readiness([job.new])[job.new.name].synchronous_standby_names,
            lambda: job.not_beyond(survey(job.living)),
        )


def furthest(job: Handover, seen: Callable[[], Survey], *, accept_behind: bool) -> None:
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


def _settings_fit(job: Handover, said: Mapping[str, Readiness]) -> None:
    new, mine = job.new, said[job.new.name]
    _capacity(job, said)
    _would_write(job, mine)
    check(
        f"{new} replays at once",
        lambda: mine.apply_delay == 0,
        seen=lambda: f"recovery_min_apply_delay is {mine.apply_delay} ms",
        hint="Promote another one, or end the delay first and let it catch up.",
    )
    _waits_for_nobody(job, lambda: mine.synchronous_standby_names, lambda: job.able)
    busy = [f"{name}: {ready.backups}" for name, ready in said.items() if ready.backups]
    check(
        "no base backup is running",
        lambda: not busy,
        seen=lambda: ", ".join(busy),
        hint="Wait for its end, or cancel it: a promotion or a stop would break it.",
    )
    _tell_archiving(job, said)


def _would_write(job: Handover, mine: Readiness) -> None:
    """Insist on what can be changed now: what the catalogue says, by a primary alone."""
    new, source = job.new, mine.read_only
    if mine.reads_by_catalog and not job.survey.writable:
        way = f"On {new}, once it is promoted: {RESET_IN_CATALOG}"
        again = "Where a step fails for it after the promotion: do so, and start again"
        fact("READS ONLY", f"default_transaction_read_only is on, by: {source}. {way}. {again}.")
        return
    primary = job.old if mine.reads_by_catalog and job.old is not None else new
    check(
        f"{new} would accept writes as a primary",
        lambda: not source,
        seen=lambda: f"default_transaction_read_only is on there, set by: {source}",
        hint=way_to_writes(primary),
    )


def _waits_for_nobody(
    job: Handover, setting: Callable[[], str], able: Callable[[], Sequence[Node]]
) -> None:
    def names() -> list[str]:
        return [job.row(node).name for node in able() if node.name in job.rows]

    check(
        f"commits on {job.new} would wait for nobody who is not there",
        lambda: synchronous_shortfall(setting(), names()) == 0,
        seen=lambda: (
            f"synchronous_standby_names is {setting()!r}, and only "
            f"{', '.join(names()) or 'nobody'} would follow"
        ),
        hint=f"On {job.new}: ALTER SYSTEM SET synchronous_standby_names = ''; then reload.",
    )


def _tell_archiving(job: Handover, said: Mapping[str, Readiness]) -> None:
    new, old, mine = job.new, job.old, said[job.new.name]
    fact(f"archiving on {new}", mine.archiving)
    if old is not None and old.name in said and said[old.name].archiving != mine.archiving:
        fact("ARCHIVING DIFFERS", f"{old} has {said[old.name].archiving}")
    if not mine.rewindable:
        note("Neither data checksums nor wal_log_hints: a diverged old primary must be rebuilt.")


def _capacity(job: Handover, said: Mapping[str, Readiness]) -> None:
    mine = said[job.new.name]
    larger: list[Node] = [job.old] if job.old is not None and job.old.name in said else []
    for node in larger:
        small = mine.smaller_than(said[node.name])
        _not_smaller(job.new, node, small)
    for node in job.siblings:
        small = said[node.name].smaller_than(mine)
        _not_smaller(node, job.new, small)
    check(
        f"{job.new} has slots for all that will follow",
        lambda: mine.max_replication_slots >= len(job.cluster.nodes) - 1,
        seen=lambda: f"max_replication_slots is {mine.max_replication_slots}",
        hint=f"Raise it on {job.new} and restart it before the promotion.",
    )


def _not_smaller(node: Node, other: Node, small: Sequence[str]) -> None:
    check(
        f"{node} is not configured smaller than {other}",
        lambda: not small,
        seen=lambda: ", ".join(small),
        hint=f"Raise it on {node} and restart it: a standby pauses replay when its primary has "
        "more.",
    )
