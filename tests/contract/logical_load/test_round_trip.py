"""What was loaded is what was dumped: judged by a dump of the target."""

from __future__ import annotations

from functools import partial
from typing import Literal

import pytest

from runbook.errors import RunbookError
from runbook.logical.load import survey
from runbook.logical.recovery.comparison import differences
from tests.contract.logical_load import scene
from tests.contract.logical_load.scene import alike, dump, loaded, pieces
from tests.lab.postgres import PostgresNode


@pytest.mark.parametrize(("way", "lanes"), [("local", 2), ("ssh", 1)])
def test_everything_is_as_in_the_source(
    rich: bytes, target: PostgresNode, way: Literal["local", "ssh"], lanes: int
) -> None:
    node = scene.node(target, way)
    contents, done = loaded(rich, node, lanes=lanes)
    assert alike(dump(target)) == alike(rich)
    assert done.rows == {(d.name, t.name): t.rows for d in contents.databases for t in d.tables}
    assert done.expected == {'role "postgres" already exists': 1}
    assert scene.sessions(target) == 0
    node.host.way.close()


def test_a_dump_of_inserts_loads_and_its_rows_are_counted(
    source: PostgresNode, rich: bytes, target: PostgresNode
) -> None:
    source.psql("CREATE DATABASE small")
    source.psql(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, $$it's (; \\$$ || n "
        "FROM generate_series(1, 500) n; CREATE TABLE none (); INSERT INTO none DEFAULT VALUES",
        database="small",
    )
    try:
        options = ("--exclude-database=rich", "--exclude-database=my*")
        for more in (("--inserts",), ("--column-inserts", "--rows-per-insert=7")):
            text = dump(source, *options, *more)
            contents, done = loaded(text, scene.node(target))
            counted = {("small", "public.t"): 500, ("small", 'public."none"'): 1}
            assert done.rows == counted
            small = contents.database("small")
            assert small is not None
            assert {("small", table.name): table.rows for table in small.tables} == counted
            assert alike(dump(target, *options, *more)) == alike(text)
            scene.emptied(target)
    finally:
        source.psql("DROP DATABASE small")


def test_a_big_table_that_was_there_before_keeps_its_rows(
    source: PostgresNode, target: PostgresNode
) -> None:
    """A big table is emptied for its COPY only where the dump itself has made it."""
    target.psql("CREATE TABLE here (v text); INSERT INTO here VALUES ('before')")
    rules = target.data_directory / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"local all all trust\n{before}")  # lets the worker itself in, too
    target.reload()
    try:
        text = dump(source, "--globals-only")
        rows = (b"x" * 1000 + b"\n") * 9000
        copy = b"\\connect postgres\nCOPY public.here (v) FROM stdin;\n" + rows + b"\\.\n\n"
        at = text.index(b"--\n-- PostgreSQL database cluster dump complete")
        _, done = loaded(
            text[:at] + copy + text[at:], scene.node(target), expected=("already exists",)
        )
        assert done.rows == {("postgres", "public.here"): 9000}
        assert target.psql("SELECT count(*) FROM here") == "9001"
    finally:
        rules.write_text(before)
        target.reload()
        target.psql("DROP TABLE here")


def test_the_contents_tell_what_is_in_the_dump(rich: bytes) -> None:
    contents = survey(pieces(rich))
    assert contents.size == len(rich)
    assert contents.server_version.startswith("15.")
    assert contents.client_version.startswith("15.")
    assert {"postgres", "we ird", "readers", "loader"} <= set(contents.roles)
    created = {each.name: each.created for each in contents.databases}
    assert created == {
        "template1": False,
        "empty": True,
        "my d'b": True,
        "postgres": False,
        "rich": True,
    }
    found = contents.database("rich")
    assert found is not None
    rows = {table.name: table.rows for table in found.tables}
    assert rows["app.customers"] == 12_000
    assert rows['"We ird"."ta""ble;"'] == 4
    assert rows['"We ird"."none"'] == 2
    assert len(found.large_objects) == 2
    assert set(found.extensions) == {"pg_trgm", "hstore", "dblink"}
    assert "app.tickets" in {each.name for each in found.sequences}


def test_a_large_object_that_differs_is_told_by_owner_grants_and_contents(
    rich: bytes, target: PostgresNode
) -> None:
    contents, _ = loaded(rich, scene.node(target))
    judge = partial(differences, scene.node(target), contents, ("postgres",))
    assert judge() == []
    for deed, said, undo in (
        (
            "SELECT lo_put(4711, 30000, 'AA')",
            "large object 4711 holds something else than in the backup",
            "SELECT lo_put(4711, 30000, '\\x00ff')",
        ),
        (
            "ALTER LARGE OBJECT 4711 OWNER TO readers",
            "large object 4711 is of readers, in the backup of loader",
            "",
        ),
        (
            "GRANT SELECT ON LARGE OBJECT 4712 TO PUBLIC",
            "large object 4712 is granted to (PUBLIC of postgres: SELECT, readers",
            "",
        ),
    ):
        target.psql(deed, database="rich")
        told = judge()
        assert any(line.startswith(f"rich: {said}") for line in told), told
        if undo:
            target.psql(undo, database="rich")
            assert judge() == []
    target.psql("SELECT lo_unlink(4711), lo_create(4713)", database="rich")
    assert "rich: large object 4711 is missing" in judge()


def test_a_dump_that_is_cut_anywhere_is_refused(source: PostgresNode) -> None:
    text = dump(source, "--exclude-database=rich")
    assert survey(pieces(text)).databases
    passed = []
    last = len(text) - 100
    for end in (*range(0, last, 11), *range(last, len(text))):
        try:
            survey(pieces(text[:end]))
        except RunbookError:
            continue
        passed.append(end)
    assert passed == [len(text) - 2, len(text) - 1]


def test_a_dump_that_is_cut_in_its_rows_is_refused(rich: bytes) -> None:
    begin = rich.index(b"COPY app.customers ")
    for end in range(begin + 200, begin + 5_000_000, 411_111):
        with pytest.raises(RunbookError, match="cut in the rows of the COPY of line"):
            survey(pieces(rich[:end]))
