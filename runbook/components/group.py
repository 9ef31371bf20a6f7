"""A server group: the servers of a cluster as they answer, and their component databases."""

from __future__ import annotations

from dataclasses import dataclass

from runbook.cluster import Cluster
from runbook.components.settings import ComponentBackups
from runbook.errors import SettingsError
from runbook.postgres import Node
from runbook.postgres.state import Identity

# Row by row, what a server says of the databases that it has.
DATABASES = """
SELECT datname AS name, datallowconn AS open, pg_catalog.pg_database_size(oid) AS size
FROM pg_catalog.pg_database WHERE NOT datistemplate ORDER BY datname
"""


@dataclass(frozen=True)
class Server:
    """A server of the group: its node, what it says of itself, and the size of its databases."""

    node: Node
    identity: Identity
    sizes: dict[str, int]
    closed: tuple[str, ...] = ()
    """The databases that let nobody in."""

    def __str__(self) -> str:
        return self.node.name

    @property
    def is_standby(self) -> bool:
        """Tell whether it is in recovery."""
        return self.identity.in_recovery


@dataclass(frozen=True)
class ServerGroup:
    """The servers that answer, the primary first; `silent` ones do not answer."""

    cluster: Cluster
    settings: ComponentBackups
    servers: tuple[Server, ...]
    silent: tuple[Node, ...]

    @property
    def primary(self) -> Server:
        """Give the server that accepts writes."""
        return self.servers[0]

    @property
    def keepers(self) -> tuple[Server, ...]:
        """Give the servers that take and keep dumps: with a store only the primary."""
        return self.servers[:1] if self.settings.store else self.servers

    def directory(self, node: Node) -> str:
        """Give the folder of the dumps on a server."""
        return self.settings.directory.replace("{node}", node.name).rstrip("/")


def settings_of(cluster: Cluster) -> ComponentBackups:
    """Give the settings of a cluster's components; SettingsError when it has none."""
    if cluster.components is None:
        raise SettingsError(
            f"cluster {cluster} has no component databases",
            detail="components is not set",
            hint="Name them in the inventory: components: {databases: [auditlog, component]}.",
        )
    return cluster.components


def observed(cluster: Cluster) -> ServerGroup:
    """Ask every node who it is; CheckFailed or Unreachable unless exactly one is the primary."""
    settings = settings_of(cluster)
    primary = cluster.primary()
    others = [node for node in cluster.nodes if node.name != primary.name]
    answering = [node for node in others if node.accepts_connections()]
    servers = tuple(_server(node) for node in (primary, *answering))
    silent = tuple(node for node in others if node not in answering)
    return ServerGroup(cluster, settings, servers, silent)


def _server(node: Node) -> Server:
    found = node.located()
    rows = found.ask(DATABASES)
    sizes = {str(row["name"]): int(str(row["size"])) for row in rows}
    closed = tuple(str(row["name"]) for row in rows if not row["open"])
    return Server(found, found.identity(), sizes, closed)
