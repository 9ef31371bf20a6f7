"""One pass over the text of a dump: what is in it, and may all of it run?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from runbook.logical.load.closed import limited, without_limit
from runbook.logical.load.contents import Contents, Database, Early, Sequence, Table
from runbook.logical.load.definitions import CLUSTER, Definitions
from runbook.logical.load.events import (
    Comment,
    CopyBegin,
    CopyRows,
    MetaCommand,
    Statement,
)
from runbook.logical.load.kinds import (
    Kind,
    depends_on_its_table_alone,
    form,
    setting_name,
)
from runbook.logical.load.large_objects import LargeObjects
from runbook.logical.load.policy import SECTION, SECTION_END, judged
from runbook.logical.load.scanner import scan
from runbook.logical.load.site import Site
from runbook.logical.load.words import IDENTIFIER, WITHOUT_QUOTED, connected_to, plain

_I = rb"(" + IDENTIFIER + rb")"
_CREATED = re.compile(
    rb"CREATE (?:(?P<role>ROLE) |(?P<space>TABLESPACE) |(?P<database>DATABASE) "
    rb"|(?P<extension>EXTENSION) (?:IF NOT EXISTS )?)" + _I
)
_SEQUENCE = re.compile(rb"SELECT pg_catalog\.setval\('((?:[^']|'')*)', (-?\d+), (true|false)\);")
_NO_DEFINITIONS = frozenset({Kind.SETTING, Kind.DATA, Kind.ROW})
_VERSIONS = re.compile(rb"-- Dumped (from database|by pg_dump) version (\S+)")


def survey(sql: Iterator[bytes]) -> Contents:
    """Read a dump to its end and tell what is in it; DumpRefused when it is cut or hostile."""
    counted = _Counted(sql)
    seen = _Survey()
    for event in judged(scan(counted)):
        match event:
            case CopyRows():
                seen.rows(event)
            case CopyBegin():
                seen.begin(event)
            case Statement():
                seen.statement(event)
            case MetaCommand() if name := connected_to(event.text):
                seen.connect(name)
            case Comment():
                seen.comment(event.text)
    return seen.contents(counted.size)


class _Counted:
    """Counts the bytes that pass."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.size = 0
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self.size += len(chunk)
        return chunk


@dataclass
class _Found:
    """A database under way."""

    name: str
    tables: dict[str, Table] = field(default_factory=dict)
    large_objects: LargeObjects = field(default_factory=LargeObjects)
    sequences: list[Sequence] = field(default_factory=list)
    extensions: list[str] = field(default_factory=list)
    settings: dict[str, bytes] = field(default_factory=dict)


class _Survey:
    def __init__(self) -> None:
        self._named: dict[str, list[str]] = {"role": [], "space": [], "database": []}
        self._versions: dict[bytes, str] = {}
        self._databases: dict[str, _Found] = {}
        self._limits: dict[str, int] = {}
        self._in: _Found = _Found("")
        self._table = ""
        self._statements = 0
        self._definitions = Definitions()
        self._site = Site()
        self._where: str | None = CLUSTER
        self._before: list[bytes] = []

    def connect(self, name: str) -> None:
        self._where = name
        for text in self._before:
            self._definitions.add(name, text)
        self._before.clear()
        self._in = self._databases.setdefault(name, _Found(name))
        self._in.settings = {}

    def comment(self, text: bytes) -> None:
        """Read the versions; what makes a database comes before it is connected to."""
        if text == SECTION_END or (text == SECTION and self._where == CLUSTER):
            self._where = None
        if found := _VERSIONS.match(text):
            self._versions.setdefault(found[1], found[2].decode())

    def begin(self, copy: CopyBegin) -> None:
        self._table = copy.table
        self._in.tables.setdefault(copy.table, Table(copy.table, 0, 0))

    def rows(self, rows: CopyRows) -> None:
        self._add(self._table, rows.rows, len(rows.data))

    def statement(self, statement: Statement) -> None:
        self._statements += 1
        text, here = statement.text, self._in
        shape = form(text)
        if shape.kind not in _NO_DEFINITIONS:
            self._define(text)
            self._site.definition(text)
        match shape.kind:
            case Kind.SETTING:
                here.settings = {**here.settings, setting_name(text): text}
                here.large_objects.session(text)
            case Kind.DATA:
                self._value(text)
            case Kind.ROW:
                self._add(shape.tables[0], inserted(text), len(text))
            case Kind.KEY | Kind.INDEX:
                self._index(statement, shape.tables[0], exclusive=shape.kind is Kind.KEY)
            case Kind.OTHER if found := _CREATED.match(text):
                name = plain(found[found.re.groups])
                named = {**self._named, "extension": here.extensions}
                named[_group(found)].append(name)
            case Kind.OTHER:
                here.large_objects.definition(text)

    def contents(self, size: int) -> Contents:
        created = set(self._named["database"])
        databases = tuple(
            Database(
                found.name,
                found.name in created,
                tuple(found.tables.values()),
                found.large_objects.all(),
                found.large_objects.size,
                tuple(found.sequences),
                tuple(found.extensions),
                self._limits.get(found.name, -1),
            )
            for found in self._databases.values()
        )
        return Contents(
            self._versions.get(b"from database", ""),
            self._versions.get(b"by pg_dump", ""),
            tuple(self._named["role"]),
            tuple(self._named["space"]),
            databases,
            size,
            self._statements,
            self._definitions,
            self._site.directories,
            tuple(self._site.locales),
        )

    def _define(self, text: bytes) -> None:
        if found := limited(text):
            self._limits.update([found])
        text = without_limit(text)
        if self._where is None:
            self._before.append(text)
        else:
            self._definitions.add(self._where, text)

    def _add(self, name: str, rows: int, size: int) -> None:
        table = self._in.tables.get(name) or Table(name, 0, 0)
        self._in.tables[name] = replace(table, rows=table.rows + rows, size=table.size + size)

    def _index(self, statement: Statement, name: str, *, exclusive: bool) -> None:
        table = self._in.tables.get(name)
        if table is None or not depends_on_its_table_alone(statement.text):
            return
        early = Early(statement, exclusive, self._in.settings)
        self._in.tables[name] = replace(table, early=(*table.early, early))

    def _value(self, text: bytes) -> None:
        if found := _SEQUENCE.match(text):
            name = found[1].replace(b"''", b"'").decode(errors="replace")
            self._in.sequences.append(Sequence(name, int(found[2]), found[3] == b"true"))
        else:
            self._in.large_objects.value(text)


def inserted(statement: bytes) -> int:
    """Count the rows of an INSERT of pg_dump: its values are plain, its groups not nested."""
    code = WITHOUT_QUOTED.sub(b"''", statement)
    return max(1, code[code.find(b"VALUES") :].count(b"("))


def _group(found: re.Match[bytes]) -> str:
    return next(name for name, value in found.groupdict().items() if value)
