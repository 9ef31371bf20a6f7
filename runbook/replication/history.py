"""Timeline histories: which timelines a server went through, and where it left each of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runbook.postgres import Node
from runbook.units import Lsn

_HISTORY = """
SELECT t.timeline, CASE WHEN t.timeline > 1 THEN pg_catalog.pg_read_file(
  'pg_wal/' || lpad(upper(to_hex(t.timeline)), 8, '0') || '.history') ELSE '' END AS history
FROM (SELECT ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)
  )::bit(32)::int AS timeline) AS t
"""
_PRIMARY_BYTES = """
SELECT coalesce(encode(pg_catalog.pg_read_binary_file(
  'pg_wal/{file}', {offset}, {count}, true), 'hex'), '') AS bytes
"""

# Arguments: file, first byte (from 1), how many.
_BYTES = """
[ -f "$1" ] || exit 0
tail -c "+$2" "$1" | head -c "$3" | od -An -v -tx1 | tr -d ' \\n'
"""
_ENTRY = re.compile(r"^\s*(\d+)\s+([0-9A-F]+/[0-9A-F]+)", flags=re.MULTILINE)


@dataclass(frozen=True)
class Ancestor:
    """A timeline that a server's history went through, and where it left it; None: not yet."""

    timeline: int
    end: Lsn | None


def primary_history(primary: Node) -> tuple[Ancestor, ...]:
    """Ask a primary for its timeline, and read the history of that."""
    row = primary.ask(_HISTORY)[0]
    return _history(str(row["history"]), int(str(row["timeline"])))


def node_history(node: Node, timeline: int) -> tuple[Ancestor, ...]:
    """Read the history of a timeline in a node's data directory; its server need not run."""
    path = f"{node.directory()}/pg_wal/{timeline:08X}.history"
    return _history(node.host.content(path, user=node.os_user), timeline)


def node_bytes(node: Node, file: str, offset: int, count: int) -> str:
    """Read bytes of a WAL file in a node's data directory, as hex; empty where there is none."""
    path = f"{node.directory()}/pg_wal/{file}"
    argv = ("sh", "-c", _BYTES, "bytes", path, str(offset + 1), str(count))
    return node.host.read(*argv, user=node.os_user).strip()


def primary_bytes(primary: Node, file: str, offset: int, count: int) -> str:
    """Ask a primary for bytes of a WAL file, as hex; empty where there is none."""
    sql = _PRIMARY_BYTES.format(file=file, offset=offset, count=count)
    return str(primary.ask(sql)[0]["bytes"])


def parted(mine: Sequence[Ancestor], theirs: Sequence[Ancestor]) -> Lsn | None:
    """Give where two histories part: at the end of the last timeline that both have."""
    found: Lsn | None = None
    for here, there in zip(mine, theirs, strict=False):
        if here.timeline != there.timeline:
            break
        ends = [end for end in (here.end, there.end) if end is not None]
        found = min(ends) if ends else None
        if here.end != there.end:
            break
    return found


def _history(text: str, timeline: int) -> tuple[Ancestor, ...]:
    before = (Ancestor(int(number), Lsn(end)) for number, end in _ENTRY.findall(text))
    return (*before, Ancestor(timeline, None))
