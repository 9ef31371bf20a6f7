"""Reading every relation: a file that is missing shows here, not in tomorrow's query."""

from __future__ import annotations

from runbook.errors import CheckFailed
from runbook.postgres.node import Node
from runbook.tools import psql

# An interrupted DROP DATABASE leaves a limit of -2, and nobody gets in any more.
DATABASES = """
SELECT datname AS name FROM pg_catalog.pg_database
WHERE datallowconn AND datconnlimit <> -2 AND datname <> 'template0' ORDER BY datname
"""
_HALF_DROPPED = """
SELECT datname AS name FROM pg_catalog.pg_database WHERE datconnlimit = -2 ORDER BY datname
"""
DROP_AGAIN = "Nobody can connect to them any more; DROP DATABASE removes them."

# Every relation's first file must exist, and the first page of every table must be readable. Plain
# SELECTs, generated and run by psql's \gexec, in a session that cannot write. A standby has the
# names of unlogged tables and not their contents. A view that was never refreshed refuses a SELECT.
READ_ALL = """
SET default_transaction_read_only = on;
SELECT count(*) FROM (
    SELECT (pg_catalog.pg_stat_file(pg_catalog.pg_relation_filepath(oid))).size
    FROM pg_catalog.pg_class
    WHERE relkind IN ('r', 't', 'm', 'i', 'S') AND relpersistence <> 't'
      AND (relpersistence = 'p' OR NOT pg_catalog.pg_is_in_recovery())
      AND pg_catalog.pg_relation_filepath(oid) IS NOT NULL OFFSET 0) AS file WHERE size >= 0;
SELECT pg_catalog.format('SELECT FROM %s LIMIT 1', oid::pg_catalog.regclass)
FROM pg_catalog.pg_class WHERE relkind IN ('r', 't', 'm') AND relpersistence <> 't'
  AND relispopulated AND (relpersistence = 'p' OR NOT pg_catalog.pg_is_in_recovery())
\\gexec
"""


def read_every_relation(node: Node) -> int:
    """Open every relation of every database; CheckFailed names what cannot be read.

    Gives the number of relations. Which bytes they hold was verified against the manifest.
    """
    return sum(read_relations_of(node, str(row["name"])) for row in node.ask(DATABASES))


def half_dropped(node: Node) -> str:
    """Tell of databases that an interrupted DROP DATABASE has left; empty where there are none.

    Ref.: PostgreSQL 15.4 release notes (databases left by an interrupted DROP DATABASE)
    """
    names = ", ".join(str(row["name"]) for row in node.ask(_HALF_DROPPED))
    return f"left invalid by an interrupted DROP DATABASE: {names}" if names else ""


def read_relations_of(node: Node, database: str) -> int:
    """Open every relation of one database, as `read_every_relation` does."""
    command = psql.script(
        node.program("psql"),
        READ_ALL,
        user=node.server_user,
        port=node.port,
        socket=node.socket_directory,
        database=database,
    )
    done = node.console.attempt(command)
    if done.exit_code != 0:
        raise CheckFailed(
            f"database {database} on {node} has a relation that cannot be read",
            detail=done.stderr.strip()[-600:],
            hint="Do not let applications use it. Restore another backup, or undo.",
        )
    return int(done.stdout.split()[0])
