"""Databases whose text is sorted by another library than the one that their indexes were made with.

A restore on another operating system brings this: an index on text may then miss rows, silently.
Ref.: https://www.postgresql.org/docs/current/sql-alterdatabase.html (REFRESH COLLATION VERSION)
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from runbook.postgres.node import Node

HINT = (
    "In each of these databases: REINDEX DATABASE, and look at constraints and partitions on text; "
    "only then ALTER DATABASE name REFRESH COLLATION VERSION."
)
_FIRST_RELEASE = 150000

_ASK = """
SELECT datname AS name, datcollversion AS recorded, actual
FROM pg_catalog.pg_database, pg_catalog.pg_database_collation_actual_version(oid) AS actual
WHERE datcollversion <> actual ORDER BY datname
"""


class Mismatch(BaseModel):
    """A database, the version that it was made with, and the one of this host's library."""

    model_config = ConfigDict(frozen=True)
    name: str
    recorded: str
    actual: str

    def __str__(self) -> str:
        return f"{self.name} was made with {self.recorded}, here is {self.actual}"


def mismatches(node: Node) -> tuple[Mismatch, ...]:
    """Ask a running server; releases before 15 record no version for a database."""
    if node.identity().version < _FIRST_RELEASE:
        return ()
    return tuple(Mismatch.model_validate(row) for row in node.ask(_ASK))
