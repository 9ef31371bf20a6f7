"""Databases as they stand on the primary, with the marks of the runs that restored them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from runbook.postgres import Node

_STANDING = """
SELECT d.datname AS name, pg_catalog.pg_database_size(d.oid) AS size, d.datallowconn AS open,
       (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a
        WHERE a.datid = d.oid AND a.pid <> pg_catalog.pg_backend_pid()) AS sessions,
       (SELECT count(*) FROM pg_catalog.pg_prepared_xacts AS p
        WHERE p.database = d.datname) AS prepared,
       (SELECT count(*) FROM pg_catalog.pg_replication_slots AS s
        WHERE s.database = d.datname) AS slots,
       coalesce((SELECT split_part(c, '=', 2) FROM pg_catalog.pg_db_role_setting AS s,
                        unnest(s.setconfig) AS c
                 WHERE s.setdatabase = d.oid AND s.setrole = 0
                   AND c LIKE 'pg_runbooks.restored=%'), '') AS mark,
       EXISTS (SELECT FROM pg_catalog.pg_db_role_setting AS s, unnest(s.setconfig) AS c
               WHERE s.setdatabase = d.oid AND s.setrole = 0
                 AND c LIKE 'pg_runbooks.closed=%') AS closed_by_us
FROM pg_catalog.pg_database AS d
"""
_MADE = re.compile(r".+_(?P<kind>incoming|aside)_(?P<stamp>[0-9]{14})")
_NAME_BYTES = 63
_KNOWN_BY = 8


@dataclass(frozen=True)
class Mark:
    """From which dump a database was made, by which run, and how far that is."""

    dump: str
    run_id: str
    stage: str

    def __str__(self) -> str:
        return f"{self.dump}:{self.run_id}:{self.stage}"

    @property
    def is_finished(self) -> bool:
        """Tell whether the restore has come to its end."""
        return self.stage == "finished"


@dataclass(frozen=True)
class Standing:
    """A database that is there."""

    name: str
    size: int
    open: bool
    sessions: int
    prepared: int
    slots: int
    mark: Mark | None
    closed_by_us: bool = False
    """A run has closed it, to rename it."""


def standing(node: Node) -> dict[str, Standing]:
    """Ask a server for its databases, by name."""
    return {str(row["name"]): _standing(row) for row in node.ask(_STANDING)}


def incoming_name(database: str, stamp: str) -> str:
    """Name the database that a dump is loaded into."""
    return _ended(database, f"_incoming_{stamp}")


def aside_name(database: str, stamp: str) -> str:
    """Name the database that the old one is kept as."""
    return _ended(database, f"_aside_{stamp}")


def is_incoming(name: str, database: str) -> bool:
    """Tell whether a name is one that only a restore of that database gives."""
    found = _MADE.fullmatch(name)
    return found is not None and name == incoming_name(database, found["stamp"])


def is_aside(name: str, database: str) -> bool:
    """Tell whether a name is one that only a restore of that database sets its old one aside as."""
    found = _MADE.fullmatch(name)
    return found is not None and name == aside_name(database, found["stamp"])


def stamp_of(name: str) -> str:
    """Give the moment in the name of an incoming database."""
    return name[-14:]


def _ended(database: str, ending: str) -> str:
    """Give a name that no other database's is, however long it is."""
    room = _NAME_BYTES - len(ending)
    if len(database) > room:
        known = hashlib.sha256(database.encode()).hexdigest()[:_KNOWN_BY]
        database = f"{database[: room - _KNOWN_BY - 1]}_{known}"
    return database + ending


def _standing(row: dict[str, object]) -> Standing:
    words = str(row["mark"]).split(":")
    return Standing(
        name=str(row["name"]),
        size=int(str(row["size"])),
        open=row["open"] is True,
        sessions=int(str(row["sessions"])),
        prepared=int(str(row["prepared"])),
        slots=int(str(row["slots"])),
        mark=Mark(*words) if len(words) == 3 else None,
        closed_by_us=row["closed_by_us"] is True and row["open"] is not True,
    )
