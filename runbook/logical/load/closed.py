"""Databases that let in nobody but superusers while they are loaded, whatever the dump says.

ALLOW_CONNECTIONS false would keep superusers out, too, and with them the load.
"""

from __future__ import annotations

import re

from runbook.logical.load.events import Statement
from runbook.logical.load.words import IDENTIFIER, plain

CREATED_AS = "pg_runbooks_made"
"""The name of a database between its creation and the moment at which it is known as the load's."""

_CREATE = re.compile(rb"CREATE DATABASE (" + IDENTIFIER + rb")(.*);", re.DOTALL)
_ALTER = re.compile(
    rb"ALTER DATABASE (" + IDENTIFIER + rb") (?:WITH )?CONNECTION LIMIT (?:= ?)?(-?\d+);"
)
_OPTION = re.compile(rb" CONNECTION LIMIT (?:= ?)?(-?\d+)")


def created_closed(statement: Statement) -> tuple[Statement, Statement] | None:
    """Give what makes a database closed, and then gives it its name; None for anything else."""
    found = _CREATE.fullmatch(statement.text)
    if not found:
        return None
    name, options = found[1], _OPTION.sub(b"", found[2])
    closed = b"CREATE DATABASE %s%s CONNECTION LIMIT = 0;" % (CREATED_AS.encode(), options)
    rename = b"ALTER DATABASE %s RENAME TO %s;" % (CREATED_AS.encode(), name)
    return Statement(closed, statement.line), Statement(rename, statement.line)


def is_limit(statement: bytes) -> bool:
    """Tell whether a statement says how many a database lets in."""
    return bool(_ALTER.fullmatch(statement))


def limited(statement: bytes) -> tuple[str, int] | None:
    """Give the database that a statement limits, and to how many sessions."""
    if found := _ALTER.fullmatch(statement):
        return plain(found[1]), int(found[2])
    found = _CREATE.fullmatch(statement)
    option = _OPTION.search(found[2]) if found else None
    return (plain(found[1]), int(option[1])) if found and option else None


def without_limit(statement: bytes) -> bytes:
    """Give a statement without what it says of a limit; empty where it says nothing else."""
    if is_limit(statement):
        return b""
    return _OPTION.sub(b"", statement) if _CREATE.fullmatch(statement) else statement
