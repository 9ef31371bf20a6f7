"""Databases are closed while they are loaded, whatever the dump says of their limits."""

from __future__ import annotations

import pytest

from runbook.logical.load import survey
from runbook.logical.load.closed import created_closed, is_limit
from runbook.logical.load.events import Statement
from tests.unit.logical_load.samples import HEAD, TAIL, dump


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (b"CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8';", b"shop"),
        (b"CREATE DATABASE shop WITH TEMPLATE = template0 CONNECTION LIMIT = 5;", b"shop"),
        (b'CREATE DATABASE "Sh""op" WITH TEMPLATE = template0;', b'"Sh""op"'),
    ],
)
def test_a_database_is_made_closed_and_then_gets_its_name(said: bytes, name: bytes) -> None:
    found = created_closed(Statement(said, 7))
    assert found is not None
    create, rename = found
    assert create.text.startswith(b"CREATE DATABASE pg_runbooks_made WITH TEMPLATE = template0")
    assert create.text.endswith(b" CONNECTION LIMIT = 0;")
    assert create.text.count(b"CONNECTION LIMIT") == 1
    assert rename.text == b"ALTER DATABASE pg_runbooks_made RENAME TO " + name + b";"
    assert (create.line, rename.line) == (7, 7)


def test_nothing_else_is_taken_for_it() -> None:
    for text in (b"CREATE TABLE t ();", b"ALTER DATABASE shop SET work_mem TO '5MB';"):
        assert created_closed(Statement(text, 1)) is None
        assert not is_limit(text)
    assert is_limit(b"ALTER DATABASE shop CONNECTION LIMIT = 5;")


def test_the_limit_that_a_dump_gives_is_told_and_is_no_difference() -> None:
    plain = survey(iter([dump(b"")]))
    assert plain.databases[0].limit == -1
    later = survey(iter([dump(b"ALTER DATABASE shop CONNECTION LIMIT = 5;\n")]))
    old = b"TEMPLATE = template0 CONNECTION LIMIT = 5;"
    within = survey(iter([(HEAD + TAIL).replace(b"TEMPLATE = template0;", old)]))
    for found in (later, within):
        assert found.databases[0].limit == 5
        assert not list(found.definitions.beyond(plain.definitions, "shop"))
        assert not list(plain.definitions.beyond(found.definitions, "shop"))
