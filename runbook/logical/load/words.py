"""Names and values as a dump writes them."""

from __future__ import annotations

import re

IDENTIFIER = rb'(?:"(?:[^"]|"")+"|[a-z_\x80-\xff][\w$\x80-\xff]*)'
QUALIFIED = IDENTIFIER + rb"(?:\." + IDENTIFIER + rb")?"
WITHOUT_QUOTED = re.compile(
    rb"(?<![\w$\x80-\xff])[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'"
    rb"|(\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$).*?\1|--[^\r\n]*|/\*.*?\*/",
    re.DOTALL,
)
"""Matches what is no code: strings and comments."""

_CONNINFO = re.compile(rb"\\connect -reuse-previous=on \"dbname='((?:[^'\\]|\\.)*)'\"")
_PLAIN = re.compile(rb'\\connect ("(?:[^"]|"")+"|[^\s"`]+)')


def plain(identifier: bytes) -> str:
    """Give the name that an identifier stands for."""
    if identifier.startswith(b'"'):
        identifier = identifier[1:-1].replace(b'""', b'"')
    return identifier.decode(errors="replace")


def connected_to(command: bytes) -> str:
    """Give the database of a \\connect as pg_dump writes it; empty for another psql command."""
    if found := _CONNINFO.fullmatch(command):
        # psql reads "" within double quotes as one, libpq reads \' and \\ within single ones.
        value = re.sub(rb"\\(.)", rb"\1", found[1].replace(b'""', b'"'), flags=re.DOTALL)
        return value.decode(errors="replace")
    found = _PLAIN.fullmatch(command)
    return plain(found[1]) if found else ""
