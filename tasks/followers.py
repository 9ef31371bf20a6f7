"""The other standbys after a promotion: they follow the new primary, and no slot is left over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from runbook import check, ensure, note, together
from runbook.actions import Action, Execute, Work
from runbook.errors import CommandFailed, GoalNotReached, StoreError, Unreachable
from runbook.postgres import Node
from runbook.replication.ending import whole_until
from runbook.replication.fork import Fork, fork
from runbook.replication.forked_wal import asks_too_late, bring, has_half_beyond
from runbook.replication.handover import Handover
from runbook.replication.members import members, repmgr_of, repmgr_program
from runbook.replication.server import look, senders
from runbook.replication.slots import Slot, audited, slots
from runbook.run import current
from runbook.tools import repmgr
from tasks._task import task
from tasks.slots import drops

_FOLLOW_SECONDS = 60.0
_SETTLE_SECONDS = 15.0
_END_OF_SEGMENT = "SELECT pg_catalog.pg_switch_wal()"


@task("let the other standbys follow {job.new}")
def follow(job: Handover) -> None:
    """See that every standby that can streams from the new primary, named by its id.

    One that cannot does not keep the applications waiting: the last step insists on it.
    """
    together([partial(_follow, job, node) for node in _able(job)])


@task("remove slots that nobody uses any more")
def tidy(job: Handover) -> None:
    """See that no slot of repmgr's holds WAL back for a node that is not attached there."""
    together([partial(_tidied, job, node) for node in (job.new, *job.siblings)])


@task("see that the standbys stream from {job.new}")
def streaming(job: Handover, *, accept_behind: bool) -> None:
    """Insist on every standby that answered when the run began, and on the slots for them."""
    able = {node.name for node in _able(job)}
    for node in job.siblings:
        if accept_behind and node.name not in able:
            note(f"{node} had come further than {job.new} and cannot follow it: standby-rebuild.")
            continue
        check(
            f"{node} streams from {job.new}",
            partial(_settles, job, node) if node.name in able else partial(_streams, job, node),
            hint=f"The applications are in service. Rebuild {node}: standby-rebuild.",
        )
    check(
        f"{job.new} has every slot that its standbys need",
        lambda: not audited(slots(job.new), _needed(job, job.new)).missing,
        seen=lambda: audited(slots(job.new), _needed(job, job.new)).told,
        hint="repmgr standby follow makes them; see its configuration: use_replication_slots.",
    )


def in_service(job: Handover) -> tuple[Node, ...]:
    """Give the new primary and the standbys that can follow it; also the old one, once it does."""
    old = job.old.name if job.old is not None else ""
    returned = [node for node in job.survey.standbys if node.name == old]
    return (job.new, *_able(job), *returned)


def _able(job: Handover) -> tuple[Node, ...]:
    """Leave out those that have come further than the new primary had: they have diverged."""
    if not current().planning or job.promoted:
        begun = fork(job.new)
        return tuple(node for node in job.siblings if not _is_beyond(begun, node))
    return job.able


def _is_beyond(begun: Fork, node: Node) -> bool:
    try:
        return begun.leaves_behind(node, look(node))
    except (CommandFailed, Unreachable):
        return False


def _follow(job: Handover, node: Node) -> None:
    upstream = job.row(job.new).node_id
    configuration = repmgr_of(node).configuration
    command = repmgr.follow(
        repmgr_program(node), configuration, user=node.os_user, upstream=upstream
    )
    try:
        _forget_half_a_record(job, node)
        ensure(
            f"{node} streams from {job.new}",
            holds=partial(_streams, job, node),
            by=[Execute(node.host, command)],
            within=_FOLLOW_SECONDS,
        )
    except (CommandFailed, GoalNotReached, StoreError, Unreachable) as error:
        note(f"{node} does not follow: {error.message}: {error.detail}")


def _forget_half_a_record(job: Handover, node: Node) -> None:
    """Restart a standby that holds one: repmgr takes that for more than the new primary has.

    What is received is counted anew from a start on, from the segment of the next page, and half a
    record is then none, or it stands in the new timeline. The rest may come while it is planned;
    afterwards only a receiver that has not noticed says that it streams.
    """
    comes = current().planning and look(node).streams
    if comes or _streams(job, node) or not has_half_beyond(_begun(job), look(node)):
        return
    ensure(
        f"{node} no longer counts the record of which it received half",
        holds=lambda: not has_half_beyond(_begun(job), look(node)),
        by=partial(_forgets, job, node),
        within=_FOLLOW_SECONDS,
    )


def _forgets(job: Handover, node: Node) -> tuple[Action, ...]:
    service = node.service
    restart = Execute(node.host, service.restart(node), shown=service.restart_shown(node))
    if not asks_too_late(_begun(job), node, look(node)):
        return (restart,)
    ended = Execute(job.new.host, job.new.statement(_END_OF_SEGMENT))
    what = f"copy the WAL segment that the timeline of {job.new} begins in, and its history"
    return (ended, Work(node.name, what, partial(_bring, job, node)), restart)


def _bring(job: Handover, node: Node) -> str:
    return bring(_begun(job), job.new, node)


def _begun(job: Handover) -> Fork:
    """Give where the new primary's timeline begins; in a plan, where it would."""
    if not current().planning or job.promoted:
        return fork(job.new)
    state = look(job.new)
    return Fork(state.timeline + 1, whole_until(job.new, state))


def _tidied(job: Handover, node: Node) -> None:
    ensure(
        f"no slot on {node} is left over",
        holds=partial(_is_tidy, job, node),
        by=partial(_drops, job, node),
        within=10,
    )


def _streams(job: Handover, node: Node) -> bool:
    name = job.row(node).name
    return any(each.name == name and each.state == "streaming" for each in senders(job.new))


def _settles(job: Handover, node: Node) -> bool:
    """Tell whether it streams; where the old timeline ends, a standby connects anew after 5 s."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while not _streams(job, node):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def _needed(job: Handover, node: Node) -> tuple[str, ...]:
    """Name the slots of those that the metadata attach to a node, where repmgr uses slots."""
    mine = job.row(node).node_id
    rows = job.members if current().planning else members(job.new)
    return tuple(row.slot_name for row in rows if row.upstream == mine and row.slot_name)


def _left_over(job: Handover, node: Node) -> Sequence[Slot]:
    """Give the unused slots on a node that belong to repmgr's nodes and are needed by none."""
    names = {row.slot_name or f"repmgr_slot_{row.node_id}" for row in job.members}
    keep = set(_needed(job, node))
    if node.name == job.new.name:
        keep |= {f"repmgr_slot_{job.row(each).node_id}" for each in _able(job)}
    return [
        slot
        for slot in audited(slots(node), keep).orphaned
        if slot.name in names and not slot.active
    ]


def _is_tidy(job: Handover, node: Node) -> bool:
    return not _left_over(job, node)


def _drops(job: Handover, node: Node) -> tuple[Action, ...]:
    return drops(node, _left_over(job, node))
