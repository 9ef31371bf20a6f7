"""Findings about replication slots: missing, left over, lost."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.health.finding import Finding, Level, found
from runbook.health.scope import Scope
from runbook.postgres import Node
from runbook.replication.members import members, node_id
from runbook.replication.slots import Slot, audited, slots
from runbook.replication.survey import Survey


def slot_findings(node: Node, survey: Survey, scope: Scope) -> Iterator[Finding]:
    """Compare the slots of a running node with those that its standbys need."""
    lasting = slots(node)
    audit = audited(lasting, _needed(node, survey, lasting, scope))
    for name in audit.missing:
        hint = "Without it the primary may remove WAL that the standby still needs."
        yield found(Level.WARNING, str(node), f"slot {name}", "is missing", hint)
    for slot in audit.orphaned:
        yield _orphaned(node, slot)
    for slot in lasting:
        yield from _kept(node, slot)
    if audit.clean:
        owned = [slot for slot in lasting if not slot.temporary and slot.type == "physical"]
        yield found(Level.OK, str(node), "slots", f"{len(owned)}, none missing, none left over")


def _orphaned(node: Node, slot: Slot) -> Finding:
    if slot.active:
        text = f"is in use by something that is no node of this cluster: {slot}"
        return found(Level.OK, str(node), f"slot {slot.name}", text)
    hint = f"If nobody needs it: SELECT pg_drop_replication_slot('{slot.name}'); it keeps WAL."
    return found(Level.WARNING, str(node), f"slot {slot.name}", f"belongs to nobody: {slot}", hint)


def _kept(node: Node, slot: Slot) -> Iterator[Finding]:
    if slot.wal_status == "lost":
        hint = "What follows it must be made anew: standby-rebuild."
        yield found(Level.CRITICAL, str(node), f"slot {slot.name}", "has lost WAL", hint)
    elif slot.wal_status == "unreserved":
        hint = "It will lose WAL with the next checkpoints: let its standby catch up now."
        yield found(Level.WARNING, str(node), f"slot {slot.name}", f"is unreserved: {slot}", hint)


def _needed(node: Node, survey: Survey, there: tuple[Slot, ...], scope: Scope) -> set[str]:
    """Name the slots that the node must have: by repmgr's metadata, also for a standby that is
    down; without repmgr, those that a standby receives through.

    One of a node that is left out may be there, and need not.
    """
    if node.repmgr is not None:
        own, there_now = node_id(node), {slot.name for slot in there}
        known = (m for m in members(node) if m.type == "standby" and m.upstream == own)
        return {
            member.slot_name
            for member in known
            if member.slot_name and (member.slot_name in there_now or not scope.leaves_out(member))
        }
    states = (seen.state for seen in survey.seen if seen.state is not None)
    used = {state.receiver.slot_name for state in states if state.receiver is not None}
    return {slot.name for slot in there if slot.name in used}
