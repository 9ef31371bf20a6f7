"""How much data a measurement is made with, and the making of it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab import processes
from tests.lab.postgres import PostgresNode


@dataclass(frozen=True)
class Scale:
    """A data set: pgbench (compresses very well), an application's tables, many small tables."""

    name: str
    pgbench: int
    events: int
    documents: int
    tables: int
    shared_buffers: str

    @property
    def smaller(self) -> Scale:
        """Give the data set that this one is compared with where the size must not matter."""
        return TINY if self is SMALL else SMALL


TINY = Scale("tiny", 1, 2_000, 500, 20, "64MB")
SMALL = Scale("small", 5, 60_000, 8_000, 100, "256MB")
FULL = Scale("full", 100, 1_800_000, 120_000, 800, "1GB")
SCALES = {scale.name: scale for scale in (SMALL, FULL)}

_APPLICATION = """
CREATE TABLE accounts (id bigserial PRIMARY KEY, name text NOT NULL, joined timestamptz NOT NULL);
CREATE TABLE events (
    id bigserial PRIMARY KEY, account bigint NOT NULL REFERENCES accounts,
    at timestamptz NOT NULL, kind text NOT NULL, body jsonb NOT NULL, note text NOT NULL);
CREATE TABLE documents (id bigserial PRIMARY KEY, title text NOT NULL, content bytea NOT NULL);
ALTER TABLE documents ALTER content SET STORAGE EXTERNAL;
INSERT INTO accounts (name, joined)
    SELECT 'account ' || n, '2020-01-01'::timestamptz + n * interval '1 hour'
    FROM generate_series(1, 10000) n;
INSERT INTO events (account, at, kind, body, note)
    SELECT 1 + n % 10000, '2024-01-01'::timestamptz + n * interval '7 seconds',
           (ARRAY['view', 'order', 'payment', 'login'])[1 + n % 4],
           jsonb_build_object('path', '/' || md5((n % 5000)::text), 'amount', n * 7 % 100000,
                              'tags', jsonb_build_array('t' || n % 50, 'u' || n % 700)),
           'event ' || md5(n::text)
    FROM generate_series(1, {events}) n;
INSERT INTO documents (title, content)
    SELECT 'document ' || n, (SELECT string_agg(sha256((n || '.' || k)::bytea), ''::bytea)
                              FROM generate_series(1, 64) k)
    FROM generate_series(1, {documents}) n;
CREATE INDEX events_by_account ON events (account);
CREATE INDEX events_by_time ON events (at);
CREATE INDEX events_by_body ON events USING gin (body);
"""

_SMALL_TABLES = """
SELECT format('CREATE TABLE t%s (id int PRIMARY KEY, note text NOT NULL); '
              'CREATE INDEX ON t%s (note); '
              'INSERT INTO t%s SELECT n, md5(n::text) FROM generate_series(1, 600) n', t, t, t)
FROM generate_series(1, {tables}) t \\gexec
"""

_COUNTS = {
    "bench": "SELECT count(*), sum(abalance) FROM pgbench_accounts",
    "app": "SELECT count(*), sum(id) FROM events; SELECT count(*), sum(length(content)) "
    "FROM documents; SELECT count(*) FROM pg_index WHERE indisvalid",
    "many": "SELECT count(*) FROM pg_class; SELECT count(*) FROM t1",
}


def load(node: PostgresNode, scale: Scale) -> None:
    """Make the databases bench, app and many, and write them down to the disk."""
    for database in _COUNTS:
        node.psql(f"CREATE DATABASE {database}")
    node.tool("pgbench", "-i", "-q", "-s", str(scale.pgbench), "bench", timeout=3600)
    text = _APPLICATION.format(events=scale.events, documents=scale.documents)
    _script(node, text, "app")
    _script(node, _SMALL_TABLES.format(tables=scale.tables), "many")
    _script(node, "VACUUM ANALYZE; CHECKPOINT", "app")


def counts(node: PostgresNode) -> str:
    """Count rows, indexes and relations: equal before a backup and after its restore."""
    return " ".join(node.psql(sql, database=name) for name, sql in _COUNTS.items())


def _script(node: PostgresNode, sql: str, database: str) -> None:
    argv = (
        node.bin_directory / "psql",
        "-XAtq",
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        "-",
        "-d",
        database,
    )
    env = {"PGHOST": str(node.socket_directory), "PGPORT": str(node.port)}
    processes.run(argv, user="postgres", stdin=sql, env=env, timeout=3600)


def size(node: PostgresNode) -> int:
    """Give the bytes of all databases."""
    return int(node.psql("SELECT sum(pg_database_size(oid)) FROM pg_database"))
