"""The shop's database: an embedded PostgreSQL with some 200,000 orders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deployments.demo.place import Place
from runbook.hosts import Command, Host
from runbook.postgres import Node
from runbook.services import PgCtl
from runbook.tools import psql

DATABASE = "shop"
ORDERS = 200_000

_SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
shared_buffers = 32MB
max_wal_size = 512MB
wal_level = replica
"""

_HBA = """\
local all all peer
host all all 127.0.0.1/32 scram-sha-256
"""

_SCHEMA = """
CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (
    id bigserial PRIMARY KEY, customer integer NOT NULL REFERENCES customers,
    cents integer NOT NULL, note text NOT NULL, placed timestamptz NOT NULL DEFAULT now());
INSERT INTO customers (name) SELECT 'customer ' || n FROM generate_series(1, 20000) AS n;
INSERT INTO orders (customer, cents, note)
    SELECT 1 + n % 20000, n % 10000, md5(n::text) FROM generate_series(1, {orders}) AS n;
CREATE INDEX orders_by_customer ON orders (customer);
ANALYZE;
"""


@dataclass(frozen=True)
class Shop:
    """The demo's PostgreSQL server and the database in it."""

    node: Node
    password: str

    @property
    def conninfo(self) -> str:
        """Give what the application connects with: over the socket, as its own user."""
        return f"host={self.node.socket_directory} port={self.node.port} dbname={DATABASE}"

    def orders(self) -> int:
        """Count the orders."""
        rows = self.node.ask("SELECT count(*) AS orders FROM orders", database=DATABASE)
        return int(str(rows[0]["orders"]))

    def execute(self, sql: str, *, database: str = DATABASE) -> None:
        """Run statements that change something; CommandFailed at the first error."""
        node = self.node
        command = psql.script(
            node.program("psql"),
            sql,
            user=node.os_user,
            port=node.port,
            socket=node.socket_directory,
            database=database,
        )
        node.host.run(command)

    def start(self) -> None:
        """Start the server."""
        for command in self.node.service.start(self.node):
            self.node.host.run(command)

    def stop(self) -> None:
        """Stop the server, if it runs."""
        if not self.node.is_stopped():
            for command in self.node.service.stop(self.node):
                self.node.host.run(command)


def described(place: Place, port: int, password: str) -> Shop:
    """Give the server as the inventory will describe it; nothing is made yet."""
    node = Node(
        name="shop-db",
        host=Host(name="here"),
        port=port,
        data_directory=str(place.postgresql / "main"),
        bin_directory=str(place.programs),
        socket_directory=str(place.postgresql),
        os_user=place.user,
        service=PgCtl(log_file=str(place.postgresql / "server.log")),
    )
    return Shop(node, password)


def create(shop: Shop, *, orders: int = ORDERS) -> None:
    """Make the server, start it, and load the shop."""
    node, main = shop.node, Path(shop.node.data_directory)
    argv = (
        *(node.program("initdb"), "-D", str(main), "-U", node.os_user, "-E", "UTF8"),
        *("--locale=C", "-A", "peer", "--no-sync", "--no-instructions"),
    )
    node.host.run(Command(argv, user=node.os_user, timeout=120))
    settings = _SETTINGS.format(port=node.port, folder=node.socket_directory)
    _append(node, main / "postgresql.conf", settings)
    _write(node, main / "pg_hba.conf", _HBA)
    shop.start()
    if node.os_user != "postgres":
        shop.execute("CREATE ROLE postgres SUPERUSER REPLICATION LOGIN", database="postgres")
    password = f"ALTER ROLE postgres PASSWORD '{shop.password}'"
    shop.execute(f"SET log_statement = none; {password}", database="postgres")
    shop.execute(f"CREATE DATABASE {DATABASE}", database="postgres")
    shop.execute(_SCHEMA.format(orders=orders))


def _append(node: Node, path: Path, text: str) -> None:
    _feed(node, 'cat >>"$1"', path, text)


def _write(node: Node, path: Path, text: str) -> None:
    _feed(node, 'cat >"$1"', path, text)


def _feed(node: Node, script: str, path: Path, text: str) -> None:
    argv = ("sh", "-c", script, "feed", str(path))
    node.host.run(Command(argv, user=node.os_user, stdin=text))
