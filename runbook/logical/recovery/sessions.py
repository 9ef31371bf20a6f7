"""Sessions in the databases of a server, other than our own."""

from __future__ import annotations

from runbook.postgres import Node

ENDING = (
    "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity "
    "WHERE pid <> pg_catalog.pg_backend_pid() AND datname IS NOT NULL"
)
"""The page's statement, but for the server's own processes, which belong to no database."""

_SESSIONS = """
SELECT pid FROM pg_catalog.pg_stat_activity
WHERE pid <> pg_catalog.pg_backend_pid() AND datname IS NOT NULL
  AND backend_type NOT IN ('autovacuum worker', 'parallel worker')
"""


def sessions(node: Node) -> frozenset[int]:
    """Give the process ids of all sessions in any database."""
    return frozenset(int(str(row["pid"])) for row in node.ask(_SESSIONS))
