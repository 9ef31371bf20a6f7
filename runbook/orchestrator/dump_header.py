"""The head of a dump in pg_dump's custom format: which pg_dump has written it."""

from __future__ import annotations

import re

MAGIC = b"PGDMP"
_VERSION, _INT_SIZE, _FIRST = 5, 8, 11
_ONE_BYTE_COMPRESSION = (1, 15)
_TIMES = 7
_MAJOR = re.compile(rb"\d+")


def client_major(head: bytes) -> int:
    """Give the major version of the pg_dump that wrote it; 0 where the head does not say.

    Magic, version of the format, sizes of an integer and of an offset, format, compression, seven
    numbers of the time; then database, server's version, pg_dump's version, each with its length.
    """
    try:
        version, size = tuple(head[_VERSION : _VERSION + 2]), head[_INT_SIZE]
        at = _FIRST + (1 if version >= _ONE_BYTE_COMPRESSION else 1 + size) + _TIMES * (1 + size)
        text = b""
        for _ in range(3):
            length = int.from_bytes(head[at + 1 : at + 1 + size], "little")
            at += 1 + size
            text, at = head[at : at + length], at + length
    except IndexError:
        return 0
    found = _MAJOR.match(text)
    return int(found[0]) if found else 0
