"""pg_dump: one database into one archive, or as text."""

from __future__ import annotations

import re

from runbook.hosts import Command
from runbook.tools import libpq

_MAJOR = re.compile(r"\(PostgreSQL\) (\d+)")


def custom(
    program: str,
    path: str,
    *,
    user: str,
    port: int,
    socket: str,
    database: str,
    lock_wait_seconds: int,
    compression: int,
) -> Command:
    """Dump a database into an archive of the custom format, over the local socket.

    `compression` is a level of gzip, 1 to 9.
    It ends itself when a table stays locked for longer than the patience, instead of standing in
    everybody's way behind a change of the schema.

    Ref.: PostgreSQL documentation, pg_dump
    """
    argv = (
        *(program, "-F", "c", "-w", "-Z", str(compression)),
        *(("-h", socket) if socket else ()),
        *("-p", str(port), f"--lock-wait-timeout={lock_wait_seconds}s"),
        *("-f", path, "-d", database),
    )
    return Command(argv, user=user, env=(*libpq.ENV, libpq.patience(0)), leashed=True)


def plain(
    program: str, path: str, *, user: str, role: str, port: int, socket: str, database: str
) -> Command:
    """Dump a database as text, as a role, over the local socket.

    Ref.: PostgreSQL documentation, pg_dump
    """
    argv = (
        *(program, "-w", "-U", role),
        *(("-h", socket) if socket else ()),
        *("-p", str(port), database, "-f", path),
    )
    return Command(argv, user=user, env=(*libpq.ENV, libpq.patience(0)), leashed=True)


def major(version: str) -> int:
    """Read the major version from what `--version` prints; 0 where it cannot be read."""
    found = _MAJOR.search(version)
    return int(found[1]) if found else 0
