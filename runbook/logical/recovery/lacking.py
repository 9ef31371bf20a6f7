"""What the load of a dump would miss on a server: found before anybody is stopped for it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runbook.hosts import Command
from runbook.logical.load import Contents
from runbook.postgres import Node

_THERE = """
SELECT (SELECT coalesce(json_agg(name), '[]') FROM pg_catalog.pg_available_extensions)
         AS extensions,
       (SELECT json_agg(spcname) FROM pg_catalog.pg_tablespace) AS tablespaces,
       (SELECT json_agg(datcollate) FROM pg_catalog.pg_database) AS collates,
       (SELECT json_agg(datctype) FROM pg_catalog.pg_database) AS ctypes
"""
_WITHOUT_ANY = frozenset({"C", "POSIX"})
_SECONDS = 60.0


def lacking(node: Node, contents: Contents) -> tuple[str, ...]:
    """Tell which extensions, locales and directories the load would not find.

    In PostgreSQL's own words as far as it has any: what is there all the same can be named as
    an expected error.
    """
    row = node.ask(_THERE)[0]
    there = {name: _names(value) for name, value in row.items()}
    wanted = {name for database in contents.databases for name in database.extensions}
    return (
        *(f'extension "{name}" is not available' for name in sorted(wanted - there["extensions"])),
        *_without_locale(node, contents, there["collates"] | there["ctypes"]),
        *(
            said
            for name, directory in contents.directories.items()
            if name not in there["tablespaces"] and (said := _of_directory(node, directory))
        ),
    )


def _without_locale(node: Node, contents: Contents, in_use: frozenset[str]) -> Iterator[str]:
    """Compare with what the C library has; one that has no list of them (musl) takes any name."""
    listed = node.console.ask(Command(("locale", "-a"), user=node.server_user, timeout=_SECONDS))
    if listed.exit_code != 0 or not listed.stdout.strip():
        return
    known = {_normal(name) for name in (*listed.stdout.split(), *in_use, *_WITHOUT_ANY)}
    for name in contents.locales:
        if _normal(name) not in known:
            yield f'invalid locale name: "{name}"'


def _of_directory(node: Node, directory: str) -> str:
    """Say why no tablespace can be made in a directory; empty where it can."""

    def holds(test: str) -> bool:
        return node.console.holds("test", test, directory, user=node.server_user)

    if not holds("-d"):
        return f'directory "{directory}" does not exist'
    if not holds("-O"):
        return f'directory "{directory}" does not belong to {node.server_user}'
    return ""


def _normal(locale: str) -> str:
    """Give a name as the C library compares it: en_US.UTF-8 is en_US.utf8.

    Ref.: glibc, _nl_normalize_codeset
    """
    language, dot, encoding = locale.partition(".")
    return f"{language}{dot}{re.sub(r'[^a-z0-9@]', '', encoding.lower())}"


def _names(value: object) -> frozenset[str]:
    assert isinstance(value, list)
    return frozenset(map(str, value))
