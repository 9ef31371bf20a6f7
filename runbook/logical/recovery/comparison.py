"""What a dump holds against what a server holds: rows, large objects, sequences, and more."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from runbook.errors import CommandFailed
from runbook.logical.load import Contents
from runbook.logical.load.contents import Database
from runbook.logical.load.large_objects import PAGE, PUBLIC, LargeObject
from runbook.logical.recovery.databases import databases
from runbook.postgres import Node
from runbook.postgres.dumped_rows import counting
from runbook.tools import psql

# Names stand as the dump writes them, qualified and quoted, and were judged with it.
_HEAD = "SET default_transaction_read_only = on;\nSET search_path = '';\n"
_SEQUENCE = "SELECT 's' || {number}, last_value || ' ' || is_called FROM {sequence};\n"
_OBJECTS = """
SELECT 'large', pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata;
SELECT 'bytes', coalesce(pg_catalog.sum(pg_catalog.length(data)), 0)
FROM pg_catalog.pg_largeobject;
SELECT 'e' || extname, 1 FROM pg_catalog.pg_extension;
SELECT 'c' || of::pg_catalog.regclass, 1
FROM pg_catalog.pg_extension, pg_catalog.unnest(extconfig) AS of;
"""
_LARGE_OBJECTS = f"""
SELECT 'l' || o.oid, encode(convert_to(json_build_array(pg_get_userbyid(o.lomowner), (
    SELECT coalesce(json_agg(format('%s of %s: %s%s',
      CASE grantee WHEN 0 THEN '{PUBLIC}' ELSE pg_get_userbyid(grantee) END,
      pg_get_userbyid(grantor), privilege_type, CASE WHEN is_grantable THEN '*' ELSE '' END)),
      '[]')
    FROM aclexplode(coalesce(o.lomacl, acldefault('L', o.lomowner)))),
  CASE current_setting('block_size') WHEN '{PAGE * 4}' THEN (
    SELECT encode(sha256(coalesce(string_agg(sha256(data), ''::bytea ORDER BY pageno),
      ''::bytea)), 'hex') FROM pg_largeobject WHERE loid = o.oid) END
)::text, 'UTF8'), 'hex') FROM pg_largeobject_metadata AS o;
"""
_NAMES = "SELECT {column} AS name FROM pg_catalog.{table}"

# What people have made in a database, beside what came with an extension.
_MADE = {
    "pg_class": "relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND relpersistence <> 't'",
    "pg_type": "typtype IN ('d', 'e', 'r')",
    "pg_namespace": "nspname !~ '^pg_'",
    "pg_collation": "collnamespace <> 'pg_catalog'::regnamespace",  # those of a newer system
    **dict.fromkeys(
        (
            *("pg_proc", "pg_operator", "pg_cast", "pg_conversion", "pg_ts_config", "pg_ts_dict"),
            *("pg_foreign_server", "pg_foreign_data_wrapper", "pg_publication", "pg_event_trigger"),
        ),
        "true",
    ),
}
_OWN = f"""
SELECT pg_catalog.pg_describe_object(own.class, own.oid, 0) AS name FROM (
  {
    " UNION ALL ".join(
        f"SELECT 'pg_catalog.{table}'::regclass::oid AS class, oid FROM pg_catalog.{table} "
        f"WHERE oid >= 16384 AND {condition}"
        for table, condition in _MADE.items()
    )
}
  UNION ALL SELECT 'pg_catalog.pg_largeobject'::regclass::oid, oid
  FROM pg_catalog.pg_largeobject_metadata
  UNION ALL SELECT 'pg_catalog.pg_subscription'::regclass::oid, s.oid
  FROM pg_catalog.pg_subscription AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.subdbid
  WHERE d.datname = pg_catalog.current_database()
) AS own WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_depend AS d
  WHERE d.classid = own.class AND d.objid = own.oid AND d.deptype = 'e')
ORDER BY 1
"""


def own_objects(node: Node, database: str) -> tuple[str, ...]:
    """Name what people have made in a database."""
    return tuple(str(row["name"]) for row in node.ask(_OWN, database=database))


def differences(node: Node, contents: Contents, skipped: Collection[str]) -> list[str]:
    """Tell what a server lacks, or has otherwise, of what a dump holds; `skipped` databases not."""
    found = [
        *_lacking(node, "role", contents.roles, "rolname", "pg_roles"),
        *_lacking(node, "tablespace", contents.tablespaces, "spcname", "pg_tablespace"),
    ]
    there = databases(node)
    for database in contents.databases:
        if database.name not in there:
            found.append(f"database {database.name} is missing")
        elif database.name not in skipped:
            found += _within(node, database)
    return found


def unexpected(told: Sequence[str], expected: Sequence[str]) -> list[str]:
    """Give the differences that match none of the `expected` expressions."""
    patterns = [re.compile(expression) for expression in expected]
    return [each for each in told if not any(pattern.search(each) for pattern in patterns)]


def _lacking(node: Node, kind: str, names: Sequence[str], column: str, table: str) -> Iterator[str]:
    there = {row["name"] for row in node.ask(_NAMES.format(column=column, table=table))}
    return (f"{kind} {name} is missing" for name in names if name not in there)


def _within(node: Node, database: Database) -> list[str]:
    """Compare one database; its tables are counted row by row."""
    command = psql.script(
        node.program("psql"),
        _questions(database),
        user=node.server_user,
        port=node.port,
        socket=node.socket_directory,
        database=database.name,
    )
    done = node.console.attempt(command)
    if done.exit_code != 0:
        raise CommandFailed(
            f"database {database.name} on {node} cannot be compared with the dump",
            detail=done.stderr.strip()[-600:],
        )
    seen = dict(_answer(line) for line in done.stdout.splitlines() if "|" in line)
    return [f"{database.name}: {said}" for said in compared(database, seen)]


def _answer(line: str) -> tuple[str, str]:
    """Take an answer apart: number and rows of a table, or a name, whatever it is, and a value."""
    name, value = line.split("|")[:2] if line[0].isdigit() else line.rsplit("|", 1)
    return name, value


def _questions(database: Database) -> str:
    rows = counting([table.name for table in database.tables])
    sequences = (
        _SEQUENCE.format(number=number, sequence=each.name)
        for number, each in enumerate(database.sequences)
    )
    return _HEAD + "".join((rows, *sequences, _OBJECTS, _LARGE_OBJECTS))


def compared(database: Database, seen: Mapping[str, str]) -> Iterator[str]:
    """Tell the differences between a database of the dump and the answers to its questions."""
    for number, table in enumerate(database.tables):
        rows = int(seen[str(number)])
        # What an extension itself brings into its tables is in no dump of them.
        brought = f"c{table.name}" in seen and rows > table.rows
        if rows != table.rows and not brought:
            yield f"{table.name} has {rows} rows, the backup {table.rows}"
    for number, each in enumerate(database.sequences):
        value = f"{each.last_value} {str(each.is_called).lower()}"
        if seen[f"s{number}"] != value:
            yield f"sequence {each.name} is at {seen[f's{number}']}, in the backup at {value}"
    if int(seen["large"]) != len(database.large_objects):
        yield f"{seen['large']} large objects, the backup has {len(database.large_objects)}"
    if int(seen["bytes"]) != database.large_bytes:
        yield f"{seen['bytes']} bytes in large objects, the backup has {database.large_bytes}"
    for oid, wanted in database.large_objects.items():
        yield from _of_large_object(f"large object {oid}", wanted, seen.get(f"l{oid}", ""))
    for name in database.extensions:
        if f"e{name}" not in seen:
            yield f"extension {name} is missing"


def _of_large_object(name: str, wanted: LargeObject, answer: str) -> Iterator[str]:
    if not answer:
        yield f"{name} is missing"
        return
    owner, grants, digest = json.loads(bytes.fromhex(answer))
    if owner != wanted.owner:
        yield f"{name} is of {owner}, in the backup of {wanted.owner}"
    rights = ", ".join(sorted(grants))
    if rights != wanted.grants:
        yield f"{name} is granted to ({rights}), in the backup to ({wanted.grants})"
    if digest is not None and digest != wanted.digest:
        yield f"{name} holds something else than in the backup"
