"""The replication role on the primary: LOGIN REPLICATION, few connections, a SCRAM verifier."""

from __future__ import annotations

from dataclasses import replace

from psycopg import sql
from psycopg.pq import PGconn
from pydantic import BaseModel, ConfigDict

from runbook.actions import Execute
from runbook.postgres import Node
from runbook.tools import psql
from runbook.tools.libpq import without_waiting

_CONNECTIONS = 5
_ROLE = """
SELECT rolcanlogin AS login, rolreplication AS replication, rolsuper AS superuser,
       rolconnlimit AS connections
FROM pg_catalog.pg_roles WHERE rolname = {}
"""

# The verifier is no password, and still nobody's business: not the server log's either.
_QUIET = """\\set VERBOSITY terse
SET log_statement = 'none'; SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
"""


class Role(BaseModel):
    """What a role may do; `connections` is its limit, -1 for none."""

    model_config = ConfigDict(frozen=True)
    login: bool
    replication: bool
    superuser: bool
    connections: int

    @property
    def replicates(self) -> bool:
        """Tell whether a standby can log in with it."""
        return self.login and (self.replication or self.superuser)


def role(node: Node, name: str) -> Role | None:
    """Ask for a role; None where there is none of that name."""
    rows = node.ask(_ROLE.format(sql.Literal(name).as_string(None)))
    return Role.model_validate(rows[0]) if rows else None


def create(node: Node, name: str, password: str) -> Execute:
    """Give the action that creates the role; PostgreSQL gets the verifier, never the password.

    Ref.: PostgreSQL documentation, CREATE ROLE
    """
    statement = (
        f"CREATE ROLE {sql.Identifier(name).as_string(None)} "
        f"LOGIN REPLICATION CONNECTION LIMIT {_CONNECTIONS} PASSWORD "
    )
    script = f"{_QUIET}{statement}{sql.Literal(verifier(name, password)).as_string(None)};\n"
    command = psql.script(
        node.program("psql"),
        script,
        user=node.server_user,
        port=node.port,
        socket=node.socket_directory,
        database="postgres",
    )
    quiet = without_waiting(replace(command, confidential=True))
    return Execute(node.console, quiet, shown=f"{statement}'***'")


def verifier(name: str, password: str) -> str:
    """Compute the SCRAM-SHA-256 verifier as libpq's createuser and \\password do."""
    nowhere = PGconn.connect_start(b"host=/nonexistent")
    try:
        return nowhere.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    finally:
        nowhere.finish()
