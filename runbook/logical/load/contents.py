"""What is in a dump: told before it is loaded, compared after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runbook.logical.load.definitions import Definitions
from runbook.logical.load.events import Statement
from runbook.logical.load.kinds import Settings
from runbook.logical.load.large_objects import LargeObject


@dataclass(frozen=True, slots=True)
class Early:
    """An index or key that can be built as soon as the rows of its table are there."""

    statement: Statement
    exclusive: bool
    settings: Settings


@dataclass(frozen=True)
class Table:
    """The rows that a dump holds for a table.

    `name` is written as SQL writes it, qualified and quoted; `size` is in bytes of the dump.
    """

    name: str
    rows: int
    size: int
    early: tuple[Early, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence, written as SQL writes it, and its value."""

    name: str
    last_value: int
    is_called: bool


@dataclass(frozen=True)
class Database:
    """One database of a dump.

    `created`: the dump creates it; otherwise (postgres, template1) it must be there. `limit`: how
    many sessions it lets in at a time, -1 any number. `large_objects` stand by their numbers,
    `large_bytes` is what all of them hold. `extensions` are plain names.
    """

    name: str
    created: bool
    tables: tuple[Table, ...]
    large_objects: Mapping[int, LargeObject] = field(repr=False)
    large_bytes: int
    sequences: tuple[Sequence, ...]
    extensions: tuple[str, ...]
    limit: int = -1

    @property
    def rows(self) -> int:
        """Sum up the rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def size(self) -> int:
        """Sum up the bytes of all rows in the dump."""
        return sum(table.size for table in self.tables)


@dataclass(frozen=True)
class Contents:
    """What is in a whole dump; `size` is the bytes of its SQL text.

    `directories` are those of its tablespaces, by their names; `locales` are of the C library.
    """

    server_version: str
    client_version: str
    roles: tuple[str, ...]
    tablespaces: tuple[str, ...]
    databases: tuple[Database, ...]
    size: int
    statements: int
    definitions: Definitions = field(compare=False, repr=False)
    directories: Mapping[str, str] = field(default_factory=dict)
    locales: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Sum up the rows of all databases."""
        return sum(database.rows for database in self.databases)

    def database(self, name: str) -> Database | None:
        """Give a database by its name."""
        return next((each for each in self.databases if each.name == name), None)
