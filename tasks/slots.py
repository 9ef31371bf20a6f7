"""Replication slots: none missing, none left over that would fill the disk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from runbook import check, ensure, note
from runbook.actions import Action, Execute
from runbook.postgres import Node
from runbook.replication.configuration import configuration
from runbook.replication.members import members
from runbook.replication.slots import Slot, audited, slots
from runbook.run import current
from tasks._task import task

# The condition keeps a slot that came into use in this very moment.
_DROP = (
    "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots "
    "WHERE slot_name = '{name}' AND NOT active"
)


@task("audit the slots on {primary}")
def audit(primary: Node, nodes: Sequence[Node]) -> None:
    """Insist on a slot for every standby of the primary; drop what `nodes` have left over there.

    Unused slots of others are told and left alone: somebody may come back for them.
    """
    ours = tuple(dict.fromkeys((*nodes, primary)))
    ensure(
        f"none of {', '.join(map(str, ours))} has left a slot on {primary} that nobody needs",
        holds=lambda: not left_over(primary, ours, primary),
        by=lambda: drops(primary, left_over(primary, ours, primary)),
        within=10,
    )
    check(
        f"{primary} has every slot that its standbys need, and none of them has lost WAL",
        partial(_is_complete, primary),
        seen=lambda: audited(slots(primary), needed(primary, primary)).told,
        hint="A standby without its slot breaks when it falls behind: rebuild it.",
    )
    _tell_strangers(primary)


@task("remove the slots that {node} had as a primary")
def none_of_its_own(node: Node, nodes: Sequence[Node], primary: Node) -> None:
    """See that a standby keeps no WAL for nodes that now follow another one."""
    ensure(
        f"{node} keeps no WAL for a node that follows another one",
        holds=lambda: not left_over(node, nodes, primary),
        by=lambda: _drops(node, nodes, primary),
        within=10,
    )


def needed(node: Node, primary: Node) -> tuple[str, ...]:
    """Name the slots of those that the primary's metadata attach to a node."""
    mine = configuration(node).node_id
    rows = members(primary)
    return tuple(row.slot_name for row in rows if row.upstream == mine and row.slot_name)


def left_over(node: Node, owners: Sequence[Node], primary: Node) -> tuple[Slot, ...]:
    """Give the unused slots on a node that belong to `owners` and are needed by none of them."""
    names = {configuration(owner).slot for owner in owners}
    found = audited(slots(node), needed(node, primary)).orphaned
    return tuple(slot for slot in found if slot.name in names and not slot.active)


def drops(node: Node, found: Sequence[Slot]) -> tuple[Action, ...]:
    """Drop slots that are not in use."""
    return tuple(_drop(node, slot.name) for slot in found)


def _drop(node: Node, name: str) -> Action:
    return Execute(node.host, node.statement(_DROP.format(name=name)))


def _drops(node: Node, owners: Sequence[Node], primary: Node) -> tuple[Action, ...]:
    """Give the drops; a plan takes them from the directory of a server that does not run yet."""
    if not current().planning or not node.is_stopped():
        return drops(node, left_over(node, owners, primary))
    path, keep = f"{node.directory()}/pg_replslot", needed(node, primary)
    found = node.host.read("ls", path, user=node.os_user).split()
    return tuple(
        _drop(node, name) for name in found if name.startswith("repmgr_slot_") and name not in keep
    )


def _is_complete(primary: Node) -> bool:
    found = audited(slots(primary), needed(primary, primary))
    return not (found.missing or found.lost)


def _tell_strangers(primary: Node) -> None:
    if current().planning:
        return
    for slot in audited(slots(primary), needed(primary, primary)).orphaned:
        if not slot.active:
            note(f"slot {slot} on {primary} belongs to nobody that is known here: not touched")
