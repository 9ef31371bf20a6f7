"""Two servers and a dump that goes from one to the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from runbook.hosts import Host
from runbook.logical.load import Contents, Loaded, load, survey
from runbook.postgres import Node
from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode

EXPECTED = ('role "postgres" already exists',)
_ALIKE = re.compile(r"^\\(un)?restrict .*$|^-- Dumped .*$", re.MULTILINE)


def make(lab: LoopbackLab, name: str) -> PostgresNode:
    """Make a server; only its own operating system user is let in through the socket."""
    return lab.postgres(name, settings={"log_statement": "none", "wal_level": "logical"})


def script(server: PostgresNode, path: Path, database: str = "postgres") -> None:
    """Run a script of psql."""
    argv = [server.bin_directory / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database]
    where = ["-h", server.socket_directory, "-p", str(server.port), "-f", "-"]
    processes.run([*argv, *where], user="postgres", stdin=path.read_text())


def dump(server: PostgresNode, *options: str) -> bytes:
    """Dump a server as the page does."""
    return server.tool("pg_dumpall", *options).encode()


def alike(text: bytes) -> list[str]:
    """Give a dump without what differs between two dumps of the same."""
    return _ALIKE.sub("", text.decode()).splitlines()


def pieces(text: bytes, size: int = 100_000) -> Iterator[bytes]:
    """Give a text in pieces, as it comes from a store."""
    return (text[start : start + size] for start in range(0, len(text), size))


def node(server: PostgresNode, way: Literal["local", "ssh"] = "local") -> Node:
    """Describe a server as the inventory does."""
    host = {"name": server.name}
    if way == "ssh":
        host["way"] = server.host.way("postgres")
    return Node(
        name=server.name,
        host=Host.model_validate(host),
        port=server.port,
        address=server.host.address,
        socket_directory=str(server.socket_directory),
        bin_directory=str(server.bin_directory),
        data_directory=str(server.data_directory),
    )


def loaded(
    text: bytes, target: Node, *, lanes: int = 2, expected: tuple[str, ...] = EXPECTED
) -> tuple[Contents, Loaded]:
    """Survey a dump and load it."""
    contents = survey(pieces(text))
    return contents, load(pieces(text), contents, target, lanes=lanes, expected=expected)


def emptied(server: PostgresNode) -> None:
    """Make a server as new."""
    databases = server.psql("SELECT datname FROM pg_database WHERE oid >= 16384").splitlines()
    for database in databases:
        for subscription in server.psql(
            "SELECT subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid "
            f"WHERE datname = $${database}$$"
        ).splitlines():
            off = f"ALTER SUBSCRIPTION {subscription} SET (slot_name = NONE)"
            server.psql(f"{off}; DROP SUBSCRIPTION {subscription}", database=database)
        server.psql(f'DROP DATABASE "{database}" WITH (FORCE)')
    server.psql(
        server.psql("SELECT format('DROP ROLE %I;', rolname) FROM pg_roles WHERE oid >= 16384")
    )


@contextmanager
def speaking(server: PostgresNode, locale: str) -> Iterator[None]:
    """Have a server say its messages in a language, for the time of a block."""
    locales = server.directory / "locales"
    locales.mkdir(exist_ok=True)
    code = f"{locale}.UTF-8"
    processes.run(["localedef", "-i", locale, "-f", "UTF-8", locales / code])
    server.stop()
    argv = [server.bin_directory / "pg_ctl", "-D", server.data_directory, "-w"]
    argv += ["-l", server.log.parent / "start.log", "-o", f"-c lc_messages={code}", "start"]
    processes.run(argv, user="postgres", mark=server.host.lab, env={"LOCPATH": str(locales)})
    try:
        yield
    finally:
        server.stop()
        server.start()


def said_of(server: PostgresNode, sql: str) -> str:
    """Give the error that a statement meets."""
    argv = [server.bin_directory / "psql", "-XAtqc", sql, "-h", server.socket_directory]
    return processes.run([*argv, "-p", str(server.port)], user="postgres", check=False).stderr


def sessions(server: PostgresNode) -> int:
    """Count the sessions that a load has left."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pg-runbooks%'"
    return int(server.psql(sql))
