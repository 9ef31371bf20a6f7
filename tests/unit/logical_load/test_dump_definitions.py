"""Definitions of a dump against those of another: what counts, and what does not."""

from __future__ import annotations

import pytest

from runbook.logical.load import survey
from runbook.logical.load.definitions import CLUSTER, Definitions
from tests.unit.logical_load.samples import dump


def beyond(mine: bytes, other: bytes) -> list[str]:
    """Tell what a dump's database has beyond that of another."""
    first, second = (survey(iter([dump(body)])).definitions for body in (mine, other))
    return list(first.beyond(second, "shop"))


@pytest.mark.parametrize(
    ("statement", "instead"),
    [
        (b"ALTER TABLE public.t OWNER TO a;\n", b"ALTER TABLE public.t OWNER TO b;\n"),
        (b"GRANT SELECT ON TABLE public.t TO a;\n", b""),
        (b"CREATE TABLE public.t (\n    a integer\n);\n", b"CREATE TABLE public.t (\n);\n"),
        (b"COMMENT ON TABLE public.t IS 'a';\n", b"COMMENT ON TABLE public.t IS 'b';\n"),
        (b"CREATE INDEX i ON public.t USING btree (a);\n" * 2, b"CREATE INDEX i ON public.t;\n"),
    ],
)
def test_a_definition_that_differs_is_told(statement: bytes, instead: bytes) -> None:
    told = beyond(statement, instead)
    assert len(told) == 1
    assert told[0].startswith(statement.decode()[:20])
    assert beyond(statement, statement) == []


def test_what_a_server_writes_anew_does_not_count() -> None:
    """PostgreSQL itself writes the first as the second, once it was loaded."""
    first = b"((a)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[]))"
    second = (
        b"((a)::text = ANY (ARRAY[('x'::character varying)::text, ('y'::character varying)::text]))"
    )
    view = b"CREATE VIEW public.v AS\n SELECT 1\n  WHERE %s;\n"
    assert beyond(view % first, view % second) == []
    assert beyond(view % first, view % second.replace(b"'y'", b"'z'"))


def test_rows_and_settings_of_the_session_are_no_definitions() -> None:
    rows = b"SET row_security = off;\nSELECT pg_catalog.lo_create('1');\n"
    about = b"ALTER LARGE OBJECT 1 OWNER TO a;\nREFRESH MATERIALIZED VIEW public.v;\n"
    assert beyond(rows + about, b"") == []


def test_what_makes_a_database_belongs_to_it_and_roles_to_the_cluster() -> None:
    found, none = survey(iter([dump(b"")])).definitions, Definitions()
    assert list(found.beyond(none, "shop")) == ["CREATE DATABASE shop WITH TEMPLATE = template0;"]
    assert list(found.beyond(none, CLUSTER)) == ["CREATE ROLE postgres;"]


def test_no_password_is_told() -> None:
    found = Definitions()
    found.add(CLUSTER, b"ALTER ROLE a WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:abc';")
    assert "abc" not in " ".join(found.beyond(Definitions(), CLUSTER))


def roles(*statements: bytes) -> Definitions:
    """Give what these define."""
    found = Definitions()
    for statement in statements:
        found.add(CLUSTER, statement)
    return found


def test_between_versions_roles_members_and_settings_are_compared_and_nothing_else() -> None:
    older = roles(
        b"ALTER ROLE a WITH LOGIN PASSWORD 'md5abc';",
        b"GRANT a TO b WITH ADMIN OPTION GRANTED BY postgres;",
        b"ALTER ROLE a IN DATABASE shop SET work_mem TO '5MB';",
        b"ALTER DATABASE shop OWNER TO a;",
        b"CREATE TABLE public.t (a integer);",
    )
    newer = roles(
        b"ALTER ROLE a WITH LOGIN PASSWORD 'md5abc';",
        b"GRANT a TO b WITH ADMIN OPTION, INHERIT TRUE GRANTED BY c;",
        b"CREATE TABLE public.t (a integer NOT NULL);",
    )
    assert list(older.lacking_roles(newer)) == [
        "ALTER ROLE a IN DATABASE shop SET work_mem TO '5MB';",
        "ALTER DATABASE shop OWNER TO a;",
    ]
    without = roles(b"GRANT a TO b WITH INHERIT FALSE GRANTED BY c;")
    assert len(list(older.lacking_roles(without))) == 4
