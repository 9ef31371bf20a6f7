"""The candidate of a promotion: a standby that is fit to be the primary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from runbook import check, fact, note
from runbook.postgres import Node
from runbook.replication.evidence import Evidence
from runbook.replication.handover import Handover
from runbook.replication.readiness import Readiness, synchronous_shortfall
from runbook.units import readable_bytes
from tasks.read_only import RESET_IN_CATALOG, way_to_writes

_LAG_BYTES = 16 << 20


def is_a_healthy_standby(job: Handover) -> None:
    """Insist that it is of this database system, replays, and follows the newest history."""
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
    _is_on_the_newest_timeline(job)


def _is_on_the_newest_timeline(job: Handover) -> None:
    new, state = job.new, job.survey.state(job.new)
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


def follows_closely(job: Handover, evidence: Evidence) -> None:
    """Insist that it streams from the primary and that the outage would not be spent on replay."""
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
    _no_slot_has_lost_wal(old, evidence)


def _no_slot_has_lost_wal(old: Node, evidence: Evidence) -> None:
    lost = [slot for slot in evidence.slots if slot.wal_status == "lost"]
    check(
        f"no slot on {old} has lost WAL",
        lambda: not lost,
        seen=lambda: ", ".join(map(str, lost)),
        hint="Rebuild the standby it belongs to, or drop it: pg_drop_replication_slot.",
    )


def settings_fit(job: Handover, said: Mapping[str, Readiness]) -> None:
    """Insist on settings that let it write, and others follow, from the first moment."""
    new, mine = job.new, said[job.new.name]
    _capacity(job, said)
    _would_write(job, mine)
    check(
        f"{new} replays at once",
        lambda: mine.apply_delay == 0,
        seen=lambda: f"recovery_min_apply_delay is {mine.apply_delay} ms",
        hint="Promote another one, or end the delay first and let it catch up.",
    )
    waits_for_nobody(job, lambda: mine.synchronous_standby_names, lambda: job.able)
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


def waits_for_nobody(
    job: Handover, setting: Callable[[], str], able: Callable[[], Sequence[Node]]
) -> None:
    """Insist that those who will follow are enough for its synchronous_standby_names."""

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
