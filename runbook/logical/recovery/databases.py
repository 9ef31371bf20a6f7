"""The databases of a server: which there are, and what sets them aside and drops them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from runbook.actions import Action, Execute
from runbook.postgres import Node
from runbook.tools import libpq

ALWAYS = "postgres"
"""The database that programs come to by default: it is replaced, and never missing."""

_LIST = """
SELECT datname AS name, oid::int8 AS oid, datistemplate AS template,
       datconnlimit AS connections, pg_catalog.pg_database_size(oid) AS size
FROM pg_catalog.pg_database
"""
_END = (
    "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity "
    "WHERE datname IN ({names}) AND pid <> pg_catalog.pg_backend_pid()"
)
_SUBSCRIPTIONS = """
SELECT s.subname AS name, d.datname AS database
FROM pg_catalog.pg_subscription AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.subdbid
ORDER BY s.subname
"""

_PATIENCE_SECONDS = 600.0


class Database(BaseModel):
    """A database: its OID, which no renaming changes, and its size in bytes.

    `connections`: how many it lets in at a time, superusers aside; -1 is any number.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    oid: int
    template: bool
    connections: int
    size: int


def databases(node: Node) -> Mapping[str, Database]:
    """Ask a server for all of its databases, by name."""
    rows = (Database.model_validate(row) for row in node.ask(_LIST))
    return {row.name: row for row in rows}


def statement(node: Node, sql: str, *, database: str = ALWAYS) -> Action:
    """Run SQL on the primary; several statements are one transaction."""
    command = node.statement(sql, database=database, timeout=_PATIENCE_SECONDS)
    return Execute(node.console, libpq.without_waiting(command))


def closings(node: Node, names: Sequence[str]) -> tuple[Action, ...]:
    """Let nobody into databases any more, and end who is in; not ALWAYS: we come through it."""
    closed = [name for name in names if name != ALWAYS]
    if not closed:
        return ()
    sql = "; ".join(f"ALTER DATABASE {identifier(name)} ALLOW_CONNECTIONS false" for name in closed)
    return (statement(node, sql), statement(node, _ending(closed)))


def making(node: Node, name: str) -> tuple[Action, ...]:
    """Make an empty database that only superusers come into."""
    return (
        statement(node, f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)"),
        statement(
            node, f"CREATE DATABASE {identifier(name)} TEMPLATE template0 CONNECTION LIMIT 0"
        ),
    )


def renamings(node: Node, pairs: Mapping[str, str], fresh: str = "") -> tuple[Action, ...]:
    """Rename databases, all in one transaction; `fresh` takes the place of ALWAYS."""
    if not pairs:
        return ()
    lines = [f"ALTER DATABASE {identifier(a)} RENAME TO {identifier(b)}" for a, b in pairs.items()]
    if ALWAYS not in pairs:
        return (statement(node, "; ".join(lines)),)
    lines = [
        _ending([ALWAYS]),
        *lines,
        f"ALTER DATABASE {identifier(fresh)} RENAME TO {ALWAYS}",
        f"ALTER DATABASE {identifier(pairs[ALWAYS])} ALLOW_CONNECTIONS false",
    ]
    return (statement(node, "; ".join(lines), database="template1"),)


def limits(node: Node, wanted: Mapping[str, int]) -> tuple[Action, ...]:
    """Let so many into databases at a time; -1 is any number."""
    if not wanted:
        return ()
    limited = (f"{identifier(name)} CONNECTION LIMIT {limit}" for name, limit in wanted.items())
    return (statement(node, "; ".join(f"ALTER DATABASE {each}" for each in limited)),)


def droppings(node: Node, database: Database) -> tuple[Action, ...]:
    """Drop a database for good, with everybody in it."""
    name = identifier(database.name)
    plain = (statement(node, f"ALTER DATABASE {name} IS_TEMPLATE false"),)
    drop = statement(node, f"DROP DATABASE {name} WITH (FORCE)")
    return (*(plain if database.template else ()), drop)


def subscriptions(node: Node) -> Mapping[str, tuple[str, ...]]:
    """Name the subscriptions by their database: one that has any cannot be dropped."""
    found: dict[str, tuple[str, ...]] = {}
    for row in node.ask(_SUBSCRIPTIONS):
        database = str(row["database"])
        found[database] = (*found.get(database, ()), str(row["name"]))
    return found


def unsubscribing(names: Sequence[str]) -> str:
    """Write what forgets subscriptions; their slots on the publisher are others' by now, or none.

    Ref.: PostgreSQL documentation, DROP SUBSCRIPTION, Notes
    """
    return "; ".join(
        f"ALTER SUBSCRIPTION {name} DISABLE; ALTER SUBSCRIPTION {name} SET (slot_name = NONE); "
        f"DROP SUBSCRIPTION {name}"
        for name in map(identifier, names)
    )


def forgettings(node: Node, found: Sequence[Database]) -> tuple[Action, ...]:
    """Drop the subscriptions of databases that are to be dropped."""
    there, actions = subscriptions(node), []
    for name in (each.name for each in found if each.name in there):
        if name != ALWAYS:
            opened = f"ALTER DATABASE {identifier(name)} ALLOW_CONNECTIONS true"
            actions.append(statement(node, opened))
        actions.append(statement(node, unsubscribing(there[name]), database=name))
    return tuple(actions)


def identifier(name: str) -> str:
    """Quote a name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text."""
    return "'" + text.replace("'", "''") + "'"


def _ending(names: Sequence[str]) -> str:
    return _END.format(names=", ".join(literal(name) for name in names))
