"""What is found where the standby's data shall be, and what of it would be nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.errors import CommandFailed, Unreachable
from runbook.postgres import ControlData, Node
from runbook.postgres.relations import DATABASES
from runbook.replication.server import ServerState, look, senders
from runbook.restore.place import Look
from runbook.units import readable_bytes

_CONTENTS = """
SELECT count(*) FILTER (WHERE c.relkind IN ('r', 'p', 'm'))::int AS tables,
       coalesce(sum(c.reltuples) FILTER (WHERE c.relkind = 'r' AND c.reltuples > 0), 0)::bigint
         AS rows, pg_catalog.pg_database_size(current_database())::bigint AS size
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
"""

# Reading leaves the next transaction id where it is.
_NEXT = "SELECT (pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()))::text AS next"


@dataclass(frozen=True)
class Target:
    """A data directory before it is replaced, and its server, running (`state`) or not (`control`).

    Neither is known where the directory holds no data.
    """

    node: Node
    seen: Look
    state: ServerState | None
    control: ControlData | None
    next_transaction: str = ""

    @property
    def is_empty(self) -> bool:
        """Tell whether there is no data."""
        return not self.seen.version

    @property
    def writable(self) -> bool:
        """Tell whether a server runs there and accepts writes."""
        return self.state is not None and not self.state.in_recovery

    @property
    def system_identifier(self) -> str:
        """Name the database system, as the running server or its control file says."""
        if self.state is not None:
            return self.state.system_identifier
        return self.control.system_identifier if self.control else ""

    def is_standby_of(self, system_identifier: str) -> bool:
        """Tell whether it follows, or followed until it was stopped, a server of this system."""
        if self.system_identifier != system_identifier:
            return False
        if self.state is not None:
            return self.state.in_recovery
        return self.control is not None and self.control.state in (
            "shut down in recovery",
            "in archive recovery",
        )

    def told(self) -> str:
        """Describe the data for people: what would be nowhere else."""
        if self.state is None and self.control is None:
            return "nothing"
        if self.state is None and self.control is not None:
            seen = self.control
            return (
                f"data of system {seen.system_identifier}, not running: {seen.state}, "
                f"timeline {seen.timeline}, last checkpoint at {seen.checkpoint}"
            )
        role = "a running primary" if self.writable else "a running standby"
        return f"{role} of system {self.system_identifier} with {contents(self.node)}"


def target(node: Node, seen: Look) -> Target:
    """Ask the server, or its control file where it does not run."""
    try:
        return Target(node, seen, look(node), None, _next(node))
    except Unreachable:
        control = node.controldata(seen.real) if seen.version else None
        return Target(node, seen, None, control)


def contents(node: Node) -> str:
    """Count what the databases of a running server hold; rows as the last ANALYZE knew them."""
    parts = []
    names = [str(row["name"]) for row in node.ask(DATABASES)]
    for name in (name for name in names if name != "template1"):
        held = node.ask(_CONTENTS, database=name)[0]
        size = readable_bytes(int(str(held["size"])))
        parts.append(f"{name} ({held['tables']} tables, about {held['rows']} rows, {size})")
    return ", ".join(parts)


def is_quiet(found: Target) -> bool:
    """Tell whether nobody has written since it was looked at; True where no server answers."""
    try:
        return not found.next_transaction or _next(found.node) == found.next_transaction
    except (Unreachable, CommandFailed):
        return True


def followers(node: Node) -> int:
    """Count the standbys that stream from a server; 0 where none answers."""
    try:
        return len(senders(node))
    except (Unreachable, CommandFailed):
        return 0


def _next(node: Node) -> str:
    return str(node.ask(_NEXT)[0]["next"])
