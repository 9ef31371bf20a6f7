"""repmgr's metadata after a restore: as old as the backup, and put right from what is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runbook.actions import Action, Execute
from runbook.errors import CheckFailed
from runbook.postgres import Node
from runbook.replication.configuration import configuration
from runbook.replication.lineup import Lineup
from runbook.replication.members import Member, members, repmgr_of, repmgr_program
from runbook.tools import libpq, repmgr

# Nobody but the primary counts as active until it has been cloned and registered again. A witness
# has a database of its own, and is neither cloned nor forgotten. One psql line is one transaction.
_CORRECT = """
UPDATE repmgr.nodes SET type = 'standby', upstream_node_id = {primary}, active = false
WHERE node_id <> {primary} AND type <> 'witness' AND (type <> 'standby'
  OR upstream_node_id IS DISTINCT FROM {primary} OR (active AND node_id NOT IN ({ids})));
DELETE FROM repmgr.nodes
WHERE type <> 'witness' AND node_id NOT IN ({ids}) AND node_name NOT IN ({names})
"""


@dataclass(frozen=True)
class Metadata:
    """What repmgr.nodes must say: node ids of those that come back, names of those left out."""

    primary: Node
    ids: dict[str, int]
    left_out: frozenset[str]

    @property
    def primary_id(self) -> int:
        """Give the primary's node id."""
        return self.ids[self.primary.name]

    def strangers(self, known: Sequence[Member]) -> tuple[Member, ...]:
        """Give the members that are neither in the settings nor left out."""
        return tuple(member for member in known if not self._is_known(member))

    def wrong(self, known: Sequence[Member]) -> tuple[str, ...]:
        """Tell what is not as it must be before the standbys are cloned."""
        return tuple(said for member in known for said in self._wrong(member)) + (
            () if any(m.node_id == self.primary_id for m in known) else ("no row of the primary",)
        )

    def is_right(self) -> bool:
        """Ask the restored primary whether nothing is wrong."""
        return not self.wrong(members(self.primary))

    def actions(self) -> tuple[Action, ...]:
        """Register the primary anew and correct the rows of all others."""
        node = self.primary
        ids = ", ".join(str(number) for number in sorted(self.ids.values()))
        names = ", ".join(_quoted(name) for name in sorted(self.left_out)) or "''"
        sql = _CORRECT.format(primary=self.primary_id, ids=ids, names=names).strip()
        register = repmgr.register_primary(
            repmgr_program(node), repmgr_of(node).configuration, user=node.os_user
        )
        correct = node.statement(sql, database=repmgr_of(node).database)
        return tuple(
            Execute(node.host, libpq.without_waiting(command)) for command in (register, correct)
        )

    def _wrong(self, member: Member) -> tuple[str, ...]:
        if member.type == "witness":
            return ()
        name = f"{member.name} (id {member.node_id})"
        if member.node_id == self.primary_id:
            right = member.type == "primary" and member.active and member.upstream is None
            return () if right else (f"{name} is the primary and does not stand there as such",)
        if not self._is_known(member):
            return (f"{name} is in no settings",)
        if member.type != "standby" or member.upstream != self.primary_id:
            return (f"{name} does not stand there as a standby of the primary",)
        if member.active and member.node_id not in self.ids.values():
            return (f"{name} is left out and stands there as active",)
        return ()

    def _is_known(self, member: Member) -> bool:
        known = member.node_id in self.ids.values() or member.name in self.left_out
        return known or member.type == "witness"


def metadata(lineup: Lineup, known: Sequence[Member]) -> Metadata:
    """Read every node's id from its repmgr.conf; those left out go by the names repmgr has.

    CheckFailed when two nodes have the same id.
    """
    ids = {node.name: configuration(node).node_id for node in lineup.members}
    if len(set(ids.values())) != len(ids):
        raise CheckFailed(
            "two nodes have the same node_id in their repmgr.conf",
            detail=", ".join(f"{name}: {number}" for name, number in ids.items()),
            hint="Does the inventory name each node's own repmgr.conf?",
        )
    addresses = {f"{node.address}:{node.port}" for node in lineup.left_out}
    names = {member.name for member in known if member.address in addresses}
    left_out = frozenset({*names, *lineup.without})
    return Metadata(lineup.primary, ids, left_out)


def has_no_complaint(node: Node) -> bool:
    """Tell whether `repmgr cluster show` on a node finds everything as its metadata say."""
    command = repmgr.cluster_show(
        repmgr_program(node), repmgr_of(node).configuration, user=node.os_user
    )
    return node.host.run(command).exit_code == 0


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
