"""pg_dumpall: all databases, roles and tablespaces as one SQL script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from runbook.hosts import Command
from runbook.tools import libpq

_LOCK_MILLISECONDS = 600_000
_VERSION = re.compile(r"\(PostgreSQL\) ((\d+)[^ \n]*)")


def dump(program: str, *, user: str, port: int, socket: str, name: str) -> Command:
    """Write the dump to standard output, as a superuser over the local socket.

    `name` is what its sessions are called. A table that somebody keeps locked ends it after ten
    minutes instead of holding it up for ever.

    Ref.: PostgreSQL documentation, pg_dumpall
    """
    argv = (
        *(program, f"--lock-wait-timeout={_LOCK_MILLISECONDS}", "--no-password"),
        *(("-h", socket) if socket else ()),
        *("-p", str(port)),
    )
    return Command(argv, user=user, env=(("PGAPPNAME", name), libpq.patience(0)), leashed=True)


def definitions(
    program: str, *, user: str, port: int, socket: str, name: str, without: Sequence[str]
) -> Command:
    """Write the dump without any rows, and without some databases.

    Ref.: PostgreSQL documentation, pg_dumpall
    """
    whole = dump(program, user=user, port=port, socket=socket, name=name)
    quoted = (database.replace('"', '""') for database in without)
    left_out = (f'--exclude-database="{database}"' for database in quoted)
    return replace(whole, argv=(*whole.argv, "--schema-only", *left_out))


def version(program: str, *, user: str) -> Command:
    """Ask for the version.

    Ref.: PostgreSQL documentation, pg_dumpall
    """
    return Command((program, "--version"), user=user, timeout=60)


def parse_version(said: str) -> tuple[str, int]:
    """Give the version and its major number from what it says of itself; ("", 0) if unknown."""
    found = _VERSION.search(said)
    return (found[1], int(found[2])) if found else ("", 0)
