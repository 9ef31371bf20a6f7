"""A small shop: customers, orders, an index, a foreign key, sequences, a large object."""

from __future__ import annotations

from tests.lab.postgres import PostgresNode

DATABASE = "shop"

_SCHEMA = """
CREATE TABLE customers (
    id bigserial PRIMARY KEY, name text NOT NULL, joined timestamptz NOT NULL DEFAULT now());
CREATE TABLE orders (
    id bigserial PRIMARY KEY, customer bigint NOT NULL REFERENCES customers,
    cents integer NOT NULL, note text NOT NULL, placed timestamptz NOT NULL DEFAULT now()){space};
CREATE INDEX orders_by_customer ON orders (customer);
INSERT INTO customers (name) SELECT 'customer ' || n FROM generate_series(1, {customers}) n;
INSERT INTO orders (customer, cents, note)
    SELECT 1 + n % {customers}, n % 10000, md5(n::text) FROM generate_series(1, {rows}) n;
SELECT lo_from_bytea(424242, decode(repeat('5cafe0', 1000), 'hex'));
ANALYZE;
"""


def load_shop(node: PostgresNode, rows: int) -> None:
    """Create the database shop with so many orders; they lie in the first tablespace, if any."""
    node.psql(f"CREATE DATABASE {DATABASE}")
    space = "".join(f" TABLESPACE {name}" for name in list(node.tablespaces)[:1])
    customers = max(1, rows // 10)
    node.psql(_SCHEMA.format(rows=rows, customers=customers, space=space), database=DATABASE)


def load_pgbench(node: PostgresNode, scale: int) -> None:
    """Create the database bench at a pgbench scale (one is about 15 MB)."""
    node.psql("CREATE DATABASE bench")
    node.tool("pgbench", "-i", "-q", "-s", str(scale), "bench", timeout=3600)


def fingerprint(node: PostgresNode) -> str:
    """Return counts and checksums of the shop's content: equal if and only if it is."""
    return node.psql(
        "SELECT count(*), sum(hashtextextended(c::text, 0)) FROM customers c;"
        "SELECT count(*), sum(hashtextextended(o::text, 0)) FROM orders o;"
        "SELECT md5(lo_get(424242));",
        database=DATABASE,
    )
