"""The control room's own database: no run may pull it from under itself."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import psycopg
from psycopg.pq import Conninfo

from runbook.cluster import Cluster
from runbook.errors import CheckFailed, CommandFailed, RunbookError, Unreachable
from runbook.hosts import Local, Ssh
from runbook.postgres import Node
from runbook.watch import log

_CONNECT_SECONDS = 5


def refuse_own_database(cluster: Cluster, url: str, leaves: Sequence[Node] = ()) -> None:
    """Insist that a cluster does not hold the database at `url`, where Prefect keeps its runs.

    Nor a server that it `leaves`, which is stopped for good. Compared by PostgreSQL's system
    identifier, and by address and port where that cannot be asked.
    """
    if not url.startswith("postgresql"):
        return
    identifier = _identifier_at(url)
    for node in (*cluster.nodes, *leaves):
        seen = _identifier_of(node) if identifier else ""
        if (seen and seen == identifier) or (not seen and _same_address(node, url)):
            raise CheckFailed(
                f"cluster {cluster} holds Prefect's own database",
                detail=f"node {node} on {node.host}; Prefect's database is {_place(url)}",
                hint="The run would lose its own control room. Use `pg-runbooks run` at a "
                "terminal, which needs no Prefect, or move Prefect's database.",
            )


def _identifier_at(url: str) -> str:
    """Ask Prefect's database for its system identifier; empty, and told, when it does not tell."""
    try:
        with psycopg.connect(_for_libpq(url), connect_timeout=_CONNECT_SECONDS) as connection:
            row = connection.execute(
                "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"
            ).fetchone()
    except psycopg.Error as error:
        log.warning(
            "Prefect's own database at %s cannot be asked: %s. Whether this cluster holds it is "
            "judged by addresses alone",
            _place(url),
            type(error).__name__,
        )
        return ""
    return str(row[0]) if row else ""


def _for_libpq(url: str) -> str:
    """Give the URL without the options of Prefect's driver, which libpq refuses; its TLS stays."""
    parts = urlsplit(url)
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    given = {"sslmode" if name == "ssl" else name: each for name, each in parse_qsl(parts.query)}
    query = {name: each for name, each in given.items() if name in known}
    return f"postgresql://{parts.netloc}{parts.path}?{urlencode(query)}"


def _identifier_of(node: Node) -> str:
    """Ask a node, or the control file of its data directory when it is down."""
    try:
        return node.identity().system_identifier
    except RunbookError:
        pass
    if not node.data_directory:
        return ""
    try:
        return node.controldata().system_identifier
    except (Unreachable, CommandFailed):
        return ""


def _same_address(node: Node, url: str) -> bool:
    host, port = _host_and_port(url)
    if port != node.port:
        return False
    way = node.host.way
    here = {"localhost", socket.gethostname()}
    if host.startswith("/"):
        return isinstance(way, Local)
    named = here if isinstance(way, Local) else set()
    if isinstance(way, Ssh):
        named = {way.address}
    # By default a node's address is the loopback; another machine's is not ours.
    if isinstance(way, Local) or not _addresses({node.address}) & _addresses({"localhost"}):
        named = (named | {node.address}) - {""}
    return bool(_addresses({host}) & _addresses(named))


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    host, port = query.get("host", ["localhost"])[0], query.get("port", ["5432"])[0]
    return parts.hostname or host, parts.port or int(port)


def _addresses(names: set[str]) -> set[str]:
    found = set()
    for name in names:
        try:
            found |= {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
        except OSError:
            found.add(name)
    return found


def _place(url: str) -> str:
    host, port = _host_and_port(url)
    return f"{host}:{port}{urlsplit(url).path}"
