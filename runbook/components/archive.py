"""What an archive holds, held against the database that it was loaded into."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runbook.errors import CheckFailed, Damaged
from runbook.hosts import Completed
from runbook.postgres import Node
from runbook.postgres.dumped_rows import counting
from runbook.tools import pg_restore, psql

_PG_CLASS, _PG_EXTENSION = "1259", "3079"

# As in the table of contents: without what belongs to an extension, and the last word of a name.
_OWNERS = """
SELECT regexp_replace(pg_catalog.pg_get_userbyid(c.relowner), '.* ', '') AS owner,
       count(*) AS tables
FROM pg_catalog.pg_class AS c
WHERE c.relkind IN ('r', 'p', 'f') AND c.oid >= 16384 AND c.relpersistence <> 't'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
GROUP BY 1
"""
_EXTENSIONS = "SELECT extname AS name FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql'"

_READ_ONLY = "SET default_transaction_read_only = on;\n"
_WORD = r'(?:"(?:[^"]|"")+"|[^\s".(]+)'
_COPY = re.compile(rf"COPY ({_WORD}\.{_WORD})\s")


@dataclass(frozen=True)
class Contents:
    """Tables by their owners, and extensions."""

    tables: Mapping[str, int]
    extensions: frozenset[str]

    def __str__(self) -> str:
        tables = ", ".join(f"{count} of {owner}" for owner, count in sorted(self.tables.items()))
        return f"tables: {tables or 'none'}; extensions: {', '.join(sorted(self.extensions))}"


@dataclass(frozen=True)
class TableRows:
    """A table's rows, in the archive and in the database.

    An extension's own rows are in its table before those of the archive come.
    """

    table: str
    dumped: int
    found: int
    of_extension: bool

    @property
    def is_right(self) -> bool:
        """Tell whether the table holds what was dumped."""
        return self.found >= self.dumped if self.of_extension else self.found == self.dumped


def contents_of_archive(node: Node, path: str) -> Contents:
    """Read the table of contents of an archive that was read to its end before."""
    command = pg_restore.contents(node.program("pg_restore"), path, user=node.server_user)
    tables: Counter[str] = Counter()
    extensions = set()
    for line in node.console.run(command).stdout.splitlines():
        kind, _, rest = line.partition(";")[2].strip().partition(" ")
        entry = rest.partition(" ")[2]
        if kind == _PG_CLASS and entry.startswith(("TABLE ", "FOREIGN TABLE ")):
            tables[entry.rpartition(" ")[2]] += 1
        if kind == _PG_EXTENSION and entry.startswith("EXTENSION - "):
            extensions.add(entry.split()[2])
    return Contents(tables, frozenset(extensions - {"plpgsql"}))


def contents_of_database(node: Node, database: str) -> Contents:
    """Ask a database for the same."""
    owners = node.ask(_OWNERS, database=database)
    extensions = node.ask(_EXTENSIONS, database=database)
    return Contents(
        Counter({str(row["owner"]): int(str(row["tables"])) for row in owners}),
        frozenset(str(row["name"]) for row in extensions),
    )


def rows_compared(node: Node, path: str, database: str) -> tuple[TableRows, ...]:
    """Count the rows of an archive, and of the same tables in a database."""
    dumped = _rows_of_archive(node, path)
    if not dumped:
        return ()
    command = psql.script(
        node.program("psql"),
        _READ_ONLY + counting(tuple(dumped)),
        user=node.server_user,
        port=node.port,
        socket=node.socket_directory,
        database=database,
    )
    found = _answered(node.console.attempt(command), node, database)
    return tuple(
        TableRows(table, rows, int(line.split("|")[1]), line.endswith("|true"))
        for (table, rows), line in zip(dumped.items(), found, strict=True)
    )


def _rows_of_archive(node: Node, path: str) -> dict[str, int]:
    """Count the rows of each table, by the name that is written in its COPY."""
    command = pg_restore.counted(node.program("pg_restore"), path, user=node.server_user)
    *lines, ended = node.console.run(command).stdout.splitlines()
    if ended != pg_restore.WHOLE:
        raise Damaged(f"{path} on {node.console} cannot be read to its end", detail=ended)
    rows: dict[str, int] = {}
    for line in lines:
        count, _, copy = line.partition("\t")
        named = _COPY.match(copy.replace("\1", "\n"))
        if named is None:
            raise Damaged(f"{path} on {node.console} has a table without a name", detail=copy)
        rows[named[1]] = rows.get(named[1], 0) + int(count)
    return rows


def _answered(done: Completed, node: Node, database: str) -> Sequence[str]:
    if done.exit_code != 0:
        raise CheckFailed(
            f"the rows of {database} on {node} cannot be counted", detail=done.stderr.strip()[-600:]
        )
    return done.stdout.split()
