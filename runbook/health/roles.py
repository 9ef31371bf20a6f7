"""Findings about the cluster's parts in replication: who writes, who follows, how far behind."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.health.finding import Finding, Level, found, graded
from runbook.health.limits import HealthLimits
from runbook.postgres import Node
from runbook.replication.server import ServerState
from runbook.replication.survey import Survey
from runbook.units import readable_bytes, readable_seconds


def role_findings(cluster: str, survey: Survey, limits: HealthLimits) -> Iterator[Finding]:
    """Judge what every node has answered; `cluster` is its name."""
    for seen in survey.seen:
        if seen.state is None:
            hint = f"Is PostgreSQL running on {seen.node.host}? See its log there."
            yield found(Level.CRITICAL, str(seen.node), "server", f"no answer: {seen.why}", hint)
        else:
            yield found(Level.OK, str(seen.node), "server", str(seen).partition(": ")[2])
    yield _writers(cluster, survey)
    yield from _systems(cluster, survey)
    primary = survey.state(survey.writable[0]) if len(survey.writable) == 1 else None
    for node in survey.standbys:
        yield from _standby(node, survey.state(node), primary, limits)


def _writers(cluster: str, survey: Survey) -> Finding:
    names = ", ".join(map(str, survey.writable))
    if len(survey.writable) == 1:
        return found(Level.OK, cluster, "writable nodes", f"exactly one: {names}")
    if survey.writable:
        hint = "A split brain. Stop everything that writes, and find out which one is right."
        return found(
            Level.CRITICAL, cluster, "writable nodes", f"{len(survey.writable)}: {names}", hint
        )
    hint = "Start the primary, or promote a standby with the runbook promotion."
    return found(Level.CRITICAL, cluster, "writable nodes", "none", hint)


def _systems(cluster: str, survey: Survey) -> Iterator[Finding]:
    known = {
        seen.state.system_identifier: str(seen.node)
        for seen in survey.seen
        if seen.state is not None
    }
    if len(known) > 1:
        text = ", ".join(f"{node} is of {system}" for system, node in known.items())
        hint = "A node was initialised or restored from elsewhere: clone it from the primary."
        yield found(Level.CRITICAL, cluster, "database system", text, hint)


def _standby(
    node: Node, state: ServerState, primary: ServerState | None, limits: HealthLimits
) -> Iterator[Finding]:
    yield _receiver(node, state)
    level = Level.WARNING if state.replay_paused else Level.OK
    text = "is paused" if state.replay_paused else "goes on"
    hint = "SELECT pg_wal_replay_resume(); unless somebody has paused it on purpose."
    yield found(level, str(node), "replay", text, hint)
    if primary is None:
        return
    if primary.timeline != state.timeline:
        text = f"is on timeline {state.timeline}, the primary on {primary.timeline}"
        hint = "It follows another history: rejoin it, or rebuild it with standby-rebuild."
        yield found(Level.CRITICAL, str(node), "timeline", text, hint)
    yield _lag(node, state, primary, limits)


def _receiver(node: Node, state: ServerState) -> Finding:
    receiver = state.receiver
    if receiver is not None and state.streams:
        text = f"streaming from {receiver.sender_host}:{receiver.sender_port}"
        return found(Level.OK, str(node), "receiver", text)
    text = "no WAL receiver runs" if receiver is None else f"WAL receiver is {receiver.status}"
    hint = f"Read the server log on {node.host}: primary_conninfo, its slot, pg_hba.conf there?"
    return found(Level.CRITICAL, str(node), "receiver", text, hint)


def _lag(node: Node, state: ServerState, primary: ServerState, limits: HealthLimits) -> Finding:
    """Judge bytes and, only while there are any, seconds: on a quiet primary the age grows."""
    written, replayed = primary.written, state.replayed
    if written is None or replayed is None:
        hint = "It has replayed nothing since it was started; look again in a moment."
        return found(Level.WARNING, str(node), "lag", "is not known yet", hint)
    behind = max(0, written - replayed)
    age = (state.replay_age or 0.0) if behind else 0.0
    level = max(graded(behind, limits.lag), graded(age, limits.lag_seconds))
    text = f"{readable_bytes(behind)} of WAL"
    text += f", last transaction {readable_seconds(age)} ago" if age else ""
    hint = "Is the network or its disk slow, or does a query hold replay back?"
    return found(level, str(node), "lag", text, hint)
