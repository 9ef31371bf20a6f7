"""Is a node a sound standby of its primary? Asked of both servers, the slots and the metadata."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.errors import CommandFailed, Unreachable
from runbook.postgres import Node
from runbook.replication.configuration import Configuration, configuration
from runbook.replication.members import leaders, members
from runbook.replication.server import ServerState, look
from runbook.replication.slots import Slot, slots
from runbook.units import Lsn

_ROLE = "standby"


@dataclass(frozen=True)
class Following:
    """A node, the primary that it must follow, and what repmgr.conf says on both."""

    node: Node
    primary: Node
    mine: Configuration
    theirs: Configuration

    def problem(self) -> str:
        """Tell the first thing that keeps the node from being a sound standby; empty if none."""
        try:
            mine = look(self.node)
        except (Unreachable, CommandFailed) as error:
            return f"{self.node} does not answer: {error.detail or error.message}"
        theirs = look(self.primary)
        return self._stream(mine, theirs) or self._slot() or self._record()

    def streams(self) -> bool:
        """Tell whether it receives the primary's WAL, on its timeline and through its slot."""
        return not (self._stream(look(self.node), look(self.primary)) or self._slot())

    def is_registered(self) -> bool:
        """Tell whether the metadata on the primary name it as an active standby of it."""
        return not self._record()

    def primary_is_named(self) -> bool:
        """Tell whether the metadata name the primary, and no other node, as the active primary."""
        return [row.node_id for row in leaders(members(self.primary))] == [self.theirs.node_id]

    def is_known(self) -> bool:
        """Tell whether the metadata on the primary have a row of the node."""
        return any(row.node_id == self.mine.node_id for row in members(self.primary))

    def has_replayed(self, position: Lsn) -> bool:
        """Tell whether a position of the primary has been replayed on the node."""
        replayed = look(self.node).replayed
        return replayed is not None and replayed >= position

    def slot(self) -> Slot | None:
        """Give the node's slot on the primary; None where it has none or does not use one."""
        return next((slot for slot in slots(self.primary) if slot.name == self.mine.slot), None)

    def _stream(self, mine: ServerState, theirs: ServerState) -> str:
        if not mine.in_recovery:
            return f"{self.node} accepts writes"
        if mine.system_identifier != theirs.system_identifier:
            return f"{self.node} is of another database system, {mine.system_identifier}"
        if not mine.streams:
            return f"{self.node} receives no WAL"
        if mine.timeline != theirs.timeline:
            return f"{self.node} is on timeline {mine.timeline}, not {theirs.timeline}"
        return ""

    def _slot(self) -> str:
        if not self.mine.uses_slots:
            return ""
        slot = self.slot()
        if slot is None:
            return f"{self.primary} has no slot {self.mine.slot}"
        return "" if slot.active else f"the slot {slot.name} on {self.primary} is not in use"

    def _record(self) -> str:
        known = {member.node_id: member for member in members(self.primary)}
        record = known.get(self.mine.node_id)
        if record is None:
            return f"repmgr does not know {self.node}"
        if (record.type, record.active, record.upstream) == (_ROLE, True, self.theirs.node_id):
            return ""
        state = "active" if record.active else "inactive"
        return f"repmgr knows {self.node} as {state} {record.type} below node {record.upstream}"


def following(node: Node, primary: Node) -> Following:
    """Read what repmgr.conf says on both; the servers need not run."""
    return Following(node, primary, configuration(node), configuration(primary))
