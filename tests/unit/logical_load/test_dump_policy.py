"""What may run is decided before anything is loaded."""

from __future__ import annotations

import pytest

from runbook.logical.load import DumpRefused, survey
from tests.unit.logical_load.samples import HEAD, TAIL, dump


def test_what_pg_dumpall_writes_is_let_through() -> None:
    body = b"""SELECT pg_catalog.set_config('search_path', '', false);
SELECT pg_catalog.lo_create('17');
BEGIN;
SELECT pg_catalog.lo_open('17', 131072);
SELECT pg_catalog.lowrite(0, '\\x00');
SELECT pg_catalog.lo_close(0);
COMMIT;
CREATE FUNCTION public.c(int) RETURNS int
    LANGUAGE c STRICT
    AS '$libdir/mine', 'c';
CREATE FUNCTION public.reads() RETURNS text
    LANGUAGE sql
    AS $$ SELECT pg_read_file('x') $$;
GRANT ALL ON FUNCTION pg_catalog.pg_read_file(text) TO monitor;
INSERT INTO public.t VALUES ('pg_read_file(1)');
CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = false, slot_name = 's');
UPDATE pg_catalog.pg_database SET datistemplate = true WHERE datname = 'shop';
CREATE OR REPLACE VIEW public.v AS SELECT 1;
CREATE SERVER far FOREIGN DATA WRAPPER dblink_fdw;
ALTER SERVER dblink_far OWNER TO postgres;
CREATE USER MAPPING FOR app SERVER dblink_far OPTIONS ("user" 'u');
CREATE TABLE public.dblink (
    id integer NOT NULL,
    lo_import text DEFAULT public.dblink_exec('x'::text, 'y'::text),
    far bigint GENERATED ALWAYS AS (((id)::bigint * 2)) STORED
);
ALTER TABLE ONLY public.lo_import
    ADD CONSTRAINT dblink_fkey FOREIGN KEY (id) REFERENCES public.dblink(id);
INSERT INTO public.dblink (id, lo_import) VALUES (1, 'dblink(1)'), (2, NULL);
CREATE MATERIALIZED VIEW public.rows AS
 SELECT id FROM public.dblink('far'::text, 'SELECT 1'::text) t(id integer)
  WITH NO DATA;
CREATE TRIGGER pg_ls_all BEFORE INSERT ON public.dblink FOR EACH ROW EXECUTE FUNCTION public.f();
"""
    assert survey(iter([dump(body)])).statements > 10


@pytest.mark.parametrize(
    "hostile",
    [
        b"\\! id\n",
        b"\\copy t from program 'id'\n",
        b"\\i /etc/passwd\n",
        b"\\o |sh\n",
        b"\\unrestrict `id`\n",
        b"\\unrestrict other\n",
        b"\\restrict again\n",
        b"\\connect other\n",
        b"DO $$ BEGIN END $$;",
        b"LOAD 'evil';",
        b"CALL f();",
        b"ALTER SYSTEM SET archive_command = 'id';",
        b"ALTER  SYSTEM SET archive_command = 'id';",
        b"ALTER/**/SYSTEM SET archive_command = 'id';",
        b"alter system set archive_command = 'id';",
        b"/* */ DO $$ $$;",
        b"CREATE LANGUAGE plevil;",
        b"CREATE OR REPLACE PROCEDURAL LANGUAGE plpython3u;",
        b"CREATE FUNCTION public.c(int) RETURNS int LANGUAGE c AS '/tmp/evil.so', 'c';",
        b"CREATE FUNCTION public.c(int) RETURNS int LANGUAGE c AS '$libdir/../../tmp/evil', 'c';",
        b"CREATE FOREIGN TABLE public.f (a text) SERVER s OPTIONS (program 'id');",
        b"CREATE SUBSCRIPTION s CONNECTION 'host=evil' PUBLICATION p;",
        b"SELECT pg_catalog.lo_export(17, '/tmp/x');",
        b"SELECT pg_catalog.lo_import('/etc/passwd');",
        b"SELECT pg_catalog.setval('s', length(pg_read_file('/etc/passwd')), true);",
        b"SELECT pg_catalog.set_config('session_replication_role', 'replica', false);",
        b"SELECT f();",
        b"INSERT INTO public.t VALUES (pg_read_file('/etc/passwd'));",
        b"CREATE TABLE public.t AS SELECT pg_catalog.pg_read_binary_file('/etc/passwd');",
        b"INSERT INTO public.t (a) VALUES (\"pg_read_file\" /* */ ('/etc/passwd'));",
        b"INSERT INTO public.t SELECT * FROM public.dblink('x', 'y') AS t (a text);",
        b"CREATE TABLE public.t (a) AS TABLE public.dblink_exec('x', 'y');",
        b"CREATE MATERIALIZED VIEW public.v AS SELECT pg_ls_dir('/');",
        b"SET client_encoding = 'SJIS';",
        b"set client_encoding = 'SJIS';",
        b"SET Client_Encoding = 'SJIS';",
        b"SET standard_conforming_strings = false;",
        b"SET STANDARD_conforming_strings TO off;",
        b"RESET standard_conforming_strings;",
        b"RESET ALL;",
        b"CREATE TABLE public.t (a int\0);",
        b"DROP DATABASE IF EXISTS shop_aside;",
        b"DROP OWNED BY postgres;",
        b"DELETE FROM pg_catalog.pg_authid;",
    ],
)
def test_a_hostile_dump_is_refused_with_its_line(hostile: bytes) -> None:
    text = dump(b"SET row_security = off;\n" + hostile)
    with pytest.raises(DumpRefused) as refused:
        survey(iter([text]))
    line = HEAD.count(b"\n") + 2
    assert f"line {line}" in refused.value.message
    assert refused.value.detail


@pytest.mark.parametrize(
    "command",
    [
        b"\\connect shop postgres evil",
        b"\\connect -reuse-previous=on \"dbname='shop' host='evil'\"",
        b"\\connect `id`",
        b"\\connect",
        b"\\encoding SJIS",
    ],
)
def test_a_connect_that_is_not_understood_is_refused(command: bytes) -> None:
    again = b"\\unrestrict def\n%s\n\\restrict def\n"
    assert survey(iter([dump(again % b"\\connect shop")])).databases
    with pytest.raises(DumpRefused, match="a psql command that may not run"):
        survey(iter([dump(again % command)]))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"SELECT 1;",
        HEAD.replace(b"cluster ", b"") + TAIL,
        TAIL,
        HEAD,
        dump(b"") + b"CREATE ROLE late;",
        dump(b"") + dump(b""),
        HEAD + b"--\n-- PostgreSQL database cluster dump complete\n--\n",
        HEAD + HEAD[HEAD.index(b"--\n-- Database") :] + TAIL,
        dump(b"").replace(b"\\unrestrict def\n\n--\n-- PostgreSQL database cluster", b"", 1),
    ],
)
def test_what_is_no_whole_dump_is_refused(text: bytes) -> None:
    with pytest.raises(DumpRefused):
        survey(iter([text]))


def test_a_dump_from_before_restrict_is_let_through() -> None:
    lines = dump(b"SET row_security = off;\n").splitlines(keepends=True)
    old = b"".join(line for line in lines if b"restrict " not in line)
    assert [each.name for each in survey(iter([old])).databases] == ["shop"]


def test_a_password_in_a_refused_statement_is_not_told() -> None:
    text = dump(b"DROP OWNED BY x; ALTER USER x PASSWORD 'hidden';")
    with pytest.raises(DumpRefused) as refused:
        survey(iter([text.replace(b"DROP OWNED BY x; ", b"")]))
    assert "ALTER USER x" in refused.value.detail
    assert "hidden" not in str(refused.value)
