"""psql, the way a DBA at the console asks: over the socket, as the operating system's user."""

from __future__ import annotations

from runbook.hosts import Command
from runbook.tools import libpq

_GRACE_SECONDS = 5
_SQLSTATE_ALONE = 12


def query(
    program: str, sql: str, *, user: str, port: int, socket: str, database: str, timeout: float
) -> Command:
    """Run one statement and print its result unadorned.

    Ref.: PostgreSQL documentation, psql
    """
    argv = (
        *(program, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"),
        *(("-h", socket) if socket else ()),
        *("-p", str(port), "-d", database, "-c", sql),
    )
    env = (("PGCONNECT_TIMEOUT", "10"), libpq.NAME, libpq.patience(timeout + _GRACE_SECONDS))
    return Command(argv, user=user, env=env, timeout=timeout)


def script(program: str, sql: str, *, user: str, port: int, socket: str, database: str) -> Command:
    """Run a script from standard input, stopping at its first error.

    Ref.: PostgreSQL documentation, psql
    """
    argv = (
        *(program, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"),
        *(("-h", socket) if socket else ()),
        *("-p", str(port), "-d", database, "-f", "-"),
    )
    return Command(argv, user=user, env=(libpq.NAME, libpq.patience(0)), stdin=sql)


def login(program: str, *, user: str, role: str, port: int, socket: str, database: str) -> Command:
    """Try whether an operating system's user gets in as a role, without a password.

    Ref.: PostgreSQL documentation, psql, -w
    """
    argv = (
        *(program, "-X", "-q", "-A", "-t", "-w", "-U", role),
        *(("-h", socket) if socket else ()),
        *("-p", str(port), "-d", database, "-c", "SELECT 1"),
    )
    env = (("PGCONNECT_TIMEOUT", "10"), libpq.NAME, libpq.patience(30))
    return Command(argv, user=user, env=env, timeout=60)


def load(
    program: str,
    path: str,
    *,
    user: str,
    role: str,
    port: int,
    socket: str,
    database: str,
    major: int,
) -> Command:
    """Load a plain dump in one transaction, which its first error takes back.

    It tells an error by its line and SQLSTATE alone, before version 12 by its first line: its
    other words would quote a row.

    Ref.: PostgreSQL documentation, psql, -1, ON_ERROR_STOP, VERBOSITY and SHOW_CONTEXT
    """
    verbosity = "sqlstate" if major >= _SQLSTATE_ALONE else "terse"
    argv = (
        *(program, "-X", "-q", "-w", "-1", "-v", "ON_ERROR_STOP=1"),
        *("-v", f"VERBOSITY={verbosity}", "-v", "SHOW_CONTEXT=never", "-U", role),
        *(("-h", socket) if socket else ()),
        *("-p", str(port), "-d", database, "-f", path),
    )
    return Command(argv, user=user, env=(libpq.NAME, libpq.patience(0)), leashed=True)
