"""The contents of a dump, and what its statements are for."""

from __future__ import annotations

import hashlib

import pytest

from runbook.logical.load import survey
from runbook.logical.load.contents import Sequence
from runbook.logical.load.kinds import Kind, depends_on_its_table_alone, form
from runbook.logical.load.large_objects import PAGE
from runbook.logical.load.survey import inserted
from runbook.logical.load.words import connected_to
from tests.unit.logical_load.samples import dump

_BODY = b"""CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;
CREATE TABLE public.t (
    id integer
);
COPY public.t (id) FROM stdin;
1
2
\\.
COPY public."It's" (id) FROM stdin;
\\.
INSERT INTO public.u VALUES (1, '(');
INSERT INTO public.u VALUES (2, ')');
SELECT pg_catalog.setval('public."It''s_seq"', 5, true);
SELECT pg_catalog.lo_create('17');
SELECT pg_catalog.lowrite(0, '\\x00ff');
ALTER TABLE ONLY public.t
    ADD CONSTRAINT t_pkey PRIMARY KEY (id);
CREATE INDEX lower ON public.t USING btree (lower(id::text));
"""
_SITE = b"""CREATE TABLESPACE "Fast; one" OWNER postgres LOCATION '/mnt/fast''s';
CREATE TABLESPACE within OWNER postgres LOCATION '';
CREATE DATABASE a WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = icu \
LOCALE = 'C.UTF-8' ICU_LOCALE = 'und-x-icu';
CREATE DATABASE b WITH TEMPLATE = template0 LC_COLLATE = 'sv_SE.utf8' LC_CTYPE = 'C';
CREATE COLLATION public.german (provider = libc, locale = 'de_DE.utf8');
CREATE COLLATION public.natural (provider = icu, deterministic = false, locale = 'en-u-kn');
CREATE COLLATION public.finnish (provider = libc, lc_collate = 'fi_FI', lc_ctype = 'C');
"""


def test_the_contents_are_told() -> None:
    contents = survey(iter([dump(_BODY)]))
    assert (contents.server_version, contents.client_version) == ("15.20", "15.19")
    assert contents.roles == ("postgres",)
    (shop,) = contents.databases
    assert shop.created
    assert {t.name: (t.rows, t.size) for t in shop.tables} == {
        "public.t": (2, 4),
        'public."It\'s"': (0, 0),
        "public.u": (2, 74),
    }
    assert shop.sequences == (Sequence('public."It\'s_seq"', 5, True),)
    assert (list(shop.large_objects), shop.large_bytes) == ([17], 2)
    assert shop.extensions == ("uuid-ossp",)
    assert contents.rows == 4


def test_what_a_dump_takes_for_granted_of_the_machine_is_told() -> None:
    contents = survey(iter([dump(_SITE)]))
    assert contents.directories == {"Fast; one": "/mnt/fast's"}
    assert contents.locales == ("C.UTF-8", "sv_SE.utf8", "C", "de_DE.utf8", "fi_FI")


def test_only_what_depends_on_its_table_alone_can_be_built_early() -> None:
    (shop,) = survey(iter([dump(_BODY)])).databases
    early = [each.statement.text for each in shop.tables[0].early]
    assert early == [b"ALTER TABLE ONLY public.t\n    ADD CONSTRAINT t_pkey PRIMARY KEY (id);"]
    where = b"CREATE INDEX i ON public.t USING btree (id) WHERE (id > f());"
    assert not depends_on_its_table_alone(where)


@pytest.mark.parametrize(
    ("statement", "kind", "tables"),
    [
        (b"SET default_tablespace = '';", Kind.SETTING, ()),
        (b"CREATE TABLE a.b (\n    c int\n);", Kind.TABLE, ("a.b",)),
        (b"CREATE TABLE a.b (\n    c int\n)\nPARTITION BY RANGE (c);", Kind.OTHER, ()),
        (b"CREATE FOREIGN TABLE a.b (\n    c int\n);", Kind.OTHER, ()),
        (b'CREATE UNIQUE INDEX "I n" ON ONLY a."B c" USING gin (d);', Kind.INDEX, ('a."B c"',)),
        (b"ALTER TABLE ONLY a.b\n    ADD CONSTRAINT c UNIQUE (d);", Kind.KEY, ("a.b",)),
        (b"ALTER TABLE a.b\n    ADD CONSTRAINT c CHECK ((d > 0)) NOT VALID;", Kind.OTHER, ()),
        (
            b"ALTER TABLE ONLY a.b\n    ADD CONSTRAINT c FOREIGN KEY (d) REFERENCES e.f(g);",
            Kind.REFERENCE,
            ("a.b", "e.f"),
        ),
        (b"ALTER INDEX a.b ATTACH PARTITION a.c;", Kind.ABOUT, ()),
        (b"ALTER TABLE a.b CLUSTER ON c;", Kind.ABOUT, ("a.b",)),
        (b"COMMENT ON INDEX a.b IS 'x';", Kind.ABOUT, ()),
        (b"CREATE MATERIALIZED VIEW a.b AS\n SELECT 1;", Kind.OTHER, ()),
    ],
)
def test_a_statement_is_known_by_its_words(
    statement: bytes, kind: Kind, tables: tuple[str, ...]
) -> None:
    found = form(statement)
    assert (found.kind, found.tables) == (kind, tables)


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        (b"INSERT INTO public.t VALUES (1, '(''(', NULL);", 1),
        (b"INSERT INTO public.t VALUES\n\t(1, E'\\'('),\n\t(2, '),(');", 2),
        (b"INSERT INTO public.t (a) OVERRIDING SYSTEM VALUE VALUES (1);", 1),
        (b"INSERT INTO public.t DEFAULT VALUES;", 1),
    ],
)
def test_rows_of_inserts_are_counted(statement: bytes, rows: int) -> None:
    assert inserted(statement) == rows


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (b"\\connect shop", "shop"),
        (b'\\connect "My ""shop"', 'My "shop'),
        (b"\\connect -reuse-previous=on \"dbname='my d\\'b'\"", "my d'b"),
        (b"\\encoding SQL_ASCII", ""),
    ],
)
def test_the_database_of_a_connect_is_read_as_psql_reads_it(command: bytes, name: str) -> None:
    assert connected_to(command) == name


def test_of_a_large_object_owner_grants_and_a_digest_are_told() -> None:
    page = b"\x01" * PAGE
    body = b"""SELECT pg_catalog.lo_create('5');
ALTER LARGE OBJECT 5 OWNER TO "a;b";
SELECT pg_catalog.lo_create('6');
ALTER LARGE OBJECT 6 OWNER TO carol;
BEGIN;
SELECT pg_catalog.lo_open('5', 131072);
SELECT pg_catalog.lowrite(0, '\\x%s');
SELECT pg_catalog.lowrite(0, '\\x02');
SELECT pg_catalog.lo_close(0);
COMMIT;
REVOKE ALL ON LARGE OBJECT 6 FROM carol;
GRANT ALL ON LARGE OBJECT 6 TO dave WITH GRANT OPTION;
SET SESSION AUTHORIZATION dave;
GRANT SELECT ON LARGE OBJECT 6 TO PUBLIC;
RESET SESSION AUTHORIZATION;
""" % page.hex().encode()
    (shop,) = survey(iter([dump(body)])).databases
    first, second = shop.large_objects[5], shop.large_objects[6]
    pages = hashlib.sha256(page).digest() + hashlib.sha256(b"\x02").digest()
    assert (first.owner, first.digest) == ("a;b", hashlib.sha256(pages).hexdigest())
    assert first.grants == "a;b of a;b: SELECT, a;b of a;b: UPDATE"
    assert (second.owner, second.digest) == ("carol", hashlib.sha256().hexdigest())
    assert second.grants == "PUBLIC of dave: SELECT, dave of carol: SELECT*, dave of carol: UPDATE*"
