"""Loads that fail: told with the statement, nothing left running, nothing hidden."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from runbook.errors import RunbookError, Unreachable
from runbook.logical.load import LoadFailed, load, survey
from runbook.logical.load.door import doors
from runbook.logical.load.session import Session, SqlError
from tests.contract.logical_load import scene
from tests.contract.logical_load.scene import EXPECTED, dump, loaded, pieces
from tests.lab import processes
from tests.lab.postgres import PostgresNode


def refused(text: bytes, target: PostgresNode, **more: tuple[str, ...]) -> LoadFailed:
    with pytest.raises(LoadFailed) as stopped:
        loaded(text, scene.node(target), **more)
    processes.until(lambda: scene.sessions(target) == 0, "all sessions are gone")
    return stopped.value


@pytest.mark.parametrize(
    ("old", "new", "state", "line"),
    [
        (b"CREATE TABLE app.seen (", b"CREATE TABLE app.seen (x nothing,", "42704", "CREATE TABLE"),
        (b"\n1\tc1\\t", b"\nx\tc1\\t", "22P02", "COPY app.customers"),
        (b"'apart'", b"apart", "42601", "COMMENT ON CONSTRAINT"),
        (b"USING gin (body)", b"USING gin (nobody)", "42703", "CREATE INDEX"),
        (b"REFERENCES app.measured(", b"REFERENCES app.seen(", "42830", "ALTER TABLE"),
    ],
)
def test_an_error_in_the_middle_stops_the_load_and_names_the_statement(
    rich: bytes, target: PostgresNode, old: bytes, new: bytes, state: str, line: str
) -> None:
    if old == b"\n1\tc1\\t":
        at = rich.index(b"\n", rich.index(b"COPY app.customers ")) + 1
        text = rich[:at] + b"x" + rich[at:]
    else:
        assert old in rich
        text = rich.replace(old, new, 1)
    error = refused(text, target)
    assert error.sqlstate == state
    assert error.database == "rich"
    assert line in error.detail
    said = text.splitlines()[error.line - 1].decode()
    assert said.startswith(line)
    assert f"line {error.line} of the dump" in error.detail


def test_a_database_that_exists_is_named_and_left_alone(rich: bytes, target: PostgresNode) -> None:
    target.psql("CREATE DATABASE rich")
    target.psql("CREATE TABLE precious AS SELECT 1 AS one", database="rich")
    error = refused(rich, target)
    assert error.sqlstate == "42P04"
    assert 'database "rich" already exists' in error.message
    assert "aside" in error.hint
    assert target.psql("SELECT one FROM precious", database="rich") == "1"


def test_a_role_that_exists_stops_the_load_unless_it_is_expected(
    rich: bytes, target: PostgresNode
) -> None:
    target.psql("CREATE ROLE readers")
    error = refused(rich, target)
    assert error.sqlstate == "42710"
    assert "CREATE ROLE readers" in error.detail
    scene.emptied(target)
    target.psql("CREATE ROLE readers")
    _, done = loaded(rich, scene.node(target), expected=(r"role \S+ already exists",))
    assert done.expected == {
        'role "postgres" already exists': 1,
        'role "readers" already exists': 1,
    }


def test_errors_are_known_on_a_server_that_speaks_another_language(
    source: PostgresNode, target: PostgresNode
) -> None:
    with scene.speaking(target, "de_DE"):
        assert "Rolle" in scene.said_of(target, "CREATE ROLE postgres")
        _, done = loaded(dump(source, "--globals-only"), scene.node(target))
    assert 'role "postgres" already exists' in done.expected


def test_no_password_of_the_dump_is_told(rich: bytes, target: PostgresNode) -> None:
    error = refused(rich.replace(b"VALID UNTIL '2050", b"VALID UNTIL 'then", 1), target)
    assert "ALTER ROLE loader" in error.detail
    assert "SCRAM" not in str(error)


def test_nothing_of_a_row_is_told(rich: bytes, target: PostgresNode) -> None:
    at = rich.index(b"\n", rich.index(b"COPY app.customers ")) + 1
    first = rich[at : rich.index(b"\n", at) + 1]
    twice = refused(rich[:at] + first + rich[at:], target)
    assert twice.sqlstate == "23505"
    assert "schema app, table customers, constraint customers_" in twice.detail
    assert "Key (" not in str(twice)
    scene.emptied(target)
    wrong = refused(rich[:at] + b"secret" + rich[at:], target)
    assert wrong.sqlstate == "22P02"
    assert "column id" in wrong.detail
    assert "secret" not in str(wrong)


def test_what_the_dump_alone_brings_is_told_when_another_dump_is_loaded(
    rich: bytes, target: PostgresNode
) -> None:
    contents = survey(pieces(rich.replace(b"app.seen", b"app.same")))
    with pytest.raises(LoadFailed, match="not the one that was surveyed"):
        load(pieces(rich), contents, scene.node(target), expected=EXPECTED)


_RUN = "COPY public.owned FROM PROGRAM $$touch {marker}$$; --"
_ALIKE = {
    "another session": "SET standard_conforming_strings = off;\n\\connect postgres\n"
    f"COMMENT ON DATABASE postgres IS 'a\\'; {_RUN}';\n",
    "reset": "SET standard_conforming_strings = off;\nRESET standard_conforming_strings;\n"
    f"COMMENT ON DATABASE postgres IS 'a\\'; {_RUN}';\n",
    "reset all": "SET standard_conforming_strings = off;\nRESET ALL;\n"
    f"COMMENT ON DATABASE postgres IS 'a\\'; {_RUN}';\n",
    "another word": "SET standard_conforming_strings = false;\n"
    f"COMMENT ON DATABASE postgres IS 'a\\''; {_RUN}';\n",
    "carriage return": f"COMMENT ON DATABASE postgres IS 'a' --\r; {_RUN}\n;\n",
    "continued": f"COMMENT ON DATABASE postgres IS E'a'\n'b\\''; {_RUN}';\n",
    "continued far away": f"COMMENT ON DATABASE postgres IS E'a'{' ' * 9000}\n'b\\''; {_RUN}';\n",
    "quoted setting": 'SET standard_conforming_strings = "off";\n'
    f"COMMENT ON DATABASE postgres IS 'a\\''; {_RUN}';\n",
}


def test_an_error_at_the_commit_of_a_batch_is_told_as_it_is(target: PostgresNode) -> None:
    made = (
        b"CREATE TEMP TABLE one (id int PRIMARY KEY)",
        b"CREATE TEMP TABLE two (id int REFERENCES one DEFERRABLE INITIALLY DEFERRED)",
    )
    with doors(scene.node(target), "pg-runbooks test") as connect:
        session = Session(connect("postgres"), "postgres", threading.Event())
        session.run(*made)
        with pytest.raises(SqlError) as failed:
            session.run(b"INSERT INTO two VALUES (1)", b"INSERT INTO one VALUES (2)")
        assert failed.value.sqlstate == "23503"
        assert session.run(b"INSERT INTO one VALUES (3)") == [b"INSERT 0 1"]
        session.close()


@pytest.mark.parametrize("how", _ALIKE)
def test_two_commands_in_what_looks_like_one_statement_are_not_run(
    source: PostgresNode, target: PostgresNode, how: str
) -> None:
    """PostgreSQL ends strings and comments elsewhere than a reader that trusts the text."""
    marker = target.directory / "owned"
    text = dump(source, "--globals-only")
    at = text.index(b"--\n-- PostgreSQL database cluster dump complete")
    said = _ALIKE[how].format(marker=marker)
    body = (
        f"\\connect postgres\nCREATE TABLE public.owned (a text);\nBEGIN;\nCOMMIT;\n{said}".encode()
    )
    told = ""
    try:
        loaded(text[:at] + body + text[at:], scene.node(target))
    except RunbookError as error:
        told = error.message
    target.psql("DROP TABLE IF EXISTS public.owned")
    assert not marker.exists(), marker.unlink()
    assert told


def slowly(text: bytes, at: bytes, then: threading.Event, go: threading.Event) -> Iterator[bytes]:
    """Give a dump until somewhere in its rows, tell, and wait."""
    half = text.index(at) + 6_000_000
    yield from pieces(text[:half])
    then.set()
    go.wait(30)
    yield from pieces(text[half:])


@pytest.mark.parametrize("how", ["server killed", "sessions ended"])
def test_a_server_that_goes_away_in_the_middle_is_told(
    rich: bytes, target: PostgresNode, how: str
) -> None:
    contents = survey(pieces(rich))
    there, go = threading.Event(), threading.Event()

    def trouble() -> None:
        there.wait(60)
        if how == "server killed":
            target.stop("immediate")
        else:
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'rich'"
            target.psql(end)
        go.set()

    thread = threading.Thread(target=trouble)
    thread.start()
    stream = slowly(rich, b"COPY app.customers ", there, go)
    with pytest.raises(RunbookError) as stopped:
        load(stream, contents, scene.node(target), expected=EXPECTED)
    thread.join()
    assert isinstance(stopped.value, LoadFailed | Unreachable)
    assert "rich" in str(stopped.value)


def test_a_stream_that_breaks_stops_the_load_at_once(rich: bytes, target: PostgresNode) -> None:
    contents = survey(pieces(rich))

    def broken() -> Iterator[bytes]:
        yield from pieces(rich[: rich.index(b"COPY app.orders ") + 1000])
        raise Unreachable("the store is gone")

    began = time.monotonic()
    with pytest.raises(Unreachable, match="the store is gone"):
        load(broken(), contents, scene.node(target), expected=EXPECTED)
    processes.until(lambda: scene.sessions(target) == 0, "all sessions are gone")
    assert time.monotonic() - began < 30


def test_limits_for_applications_end_no_load(rich: bytes, target: PostgresNode) -> None:
    """The session of the cluster's own statements is idle while rows of hours stream in."""
    contents = survey(pieces(rich))

    def paused() -> Iterator[bytes]:
        half = rich.index(b"COPY app.customers ") + 6_000_000
        yield from pieces(rich[:half])
        time.sleep(3)
        yield from pieces(rich[half:])

    limits = {"idle_session_timeout": "1s", "temp_file_limit": "0"}
    for name, value in limits.items():
        target.psql(f"ALTER ROLE postgres SET {name} = '{value}'")
    try:
        done = load(paused(), contents, scene.node(target), expected=EXPECTED)
    finally:
        target.psql("ALTER ROLE postgres RESET ALL")
    assert done.rows


def test_a_load_through_ssh_may_need_more_sessions_than_a_connection_has(
    source: PostgresNode, target: PostgresNode
) -> None:
    """Four databases at once, each with indexes that are still built, and rows of the next."""
    names = [f"slow{number}" for number in range(6)]
    for name in names:
        source.psql(f"CREATE DATABASE {name}")
        source.psql(_SLOW, database=name)
    text = dump(source, "--exclude-database=rich", "--exclude-database=my*")
    for name in names:
        source.psql(f"DROP DATABASE {name}")
    slow = text.replace(b"pg_sleep(0)", b"pg_sleep(0.005)")
    _, done = loaded(slow, scene.node(target, "ssh"), lanes=6)
    assert len([rows for rows in done.rows.values() if rows == 300]) == 6 * len(names)


_SLOW = """
CREATE FUNCTION slow(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql
AS $$ BEGIN PERFORM pg_sleep(0); RETURN n; END $$;
DO $$ BEGIN FOR t IN 1..6 LOOP
  EXECUTE format('CREATE TABLE t%s AS SELECT generate_series(1, 300) AS n', t);
  EXECUTE format('CREATE INDEX ON t%s (public.slow(n))', t);
END LOOP; END $$;
"""


def test_a_server_that_does_not_run_is_unreachable(rich: bytes, target: PostgresNode) -> None:
    contents = survey(pieces(rich))
    target.stop()
    with pytest.raises(Unreachable, match="no connection to database postgres"):
        load(pieces(rich), contents, scene.node(target), expected=EXPECTED)
