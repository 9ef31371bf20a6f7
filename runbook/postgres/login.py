"""The login that base backups are taken with: tried as it will be used."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from psycopg.conninfo import make_conninfo

from runbook.cluster import Cluster
from runbook.errors import CheckFailed
from runbook.hosts.tunnel import endpoint
from runbook.postgres.node import Node
from runbook.stream.base_backup import identify
from runbook.stream.replication import Replication

_STALL_SECONDS = 900.0


@contextmanager
def replication(
    node: Node, cluster: Cluster, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Replication]:
    """Open a replication connection the way the page does: from the host, to its address."""
    with endpoint(node.host, node.address, node.port) as door:
        conninfo = make_conninfo(
            host=door.host,
            port=str(door.port),
            user=cluster.replication.user,
            password=cluster.replication_password.get_secret_value() or None,
            options=" ".join(f"-c {name}={value}" for name, value in settings.items()) or None,
        )
        connection = Replication(conninfo, stall_timeout=_STALL_SECONDS)
        try:
            yield connection
        finally:
            connection.close()


def refusal(node: Node, cluster: Cluster) -> str:
    """Log in and give what PostgreSQL says when it turns us away; nothing when it lets us in.

    Unreachable when nobody answers at all.
    """
    try:
        with replication(node, cluster) as connection:
            identify(connection)
    except CheckFailed as error:
        return error.detail or error.message
    return ""


def address_seen(refused: str, default: str) -> str:
    """Give the address that the server saw us come from.

    It stands in the refusal, in every language, and may be another than the one we went to:
    "localhost" is a name, and a second address of an interface answers from the first.
    """
    for word in reversed(re.findall(r"[0-9A-Fa-f:.]{3,}", refused)):
        if _is_address(word):
            return str(word)
    if not _is_address(default):
        raise CheckFailed(
            f"the address of {default} is not known",
            detail=refused,
            hint="Write an IP address into the node's address, such as 127.0.0.1.",
        )
    # Linux answers from 127.0.0.1 whichever address of that network is called.
    return "127.0.0.1" if default.startswith("127.") else default


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True
