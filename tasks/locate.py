"""Finding the server that a procedure is about, by asking PostgreSQL."""

from __future__ import annotations

from runbook import check, fact
from runbook.cluster import Cluster
from runbook.errors import CommandFailed, Unreachable
from runbook.hosts import Local
from runbook.inventory import StoreSettings
from runbook.postgres import Node
from runbook.restore.reserve import Reserve, reserve_beside
from runbook.stores import FolderStore, NodeFolderStore
from runbook.units import readable_bytes
from tasks._task import task

SIZE = """
SELECT (SELECT sum(pg_catalog.pg_database_size(oid)) FROM pg_catalog.pg_database)::bigint AS size
"""


@task("find the server to back up")
def backup_source(cluster: Cluster) -> Node:
    """Give the node that the backup is taken from: the primary, or a standby if so set."""
    insist_on_one_writer(cluster)
    node = cluster.primary() if cluster.backups.source == "primary" else cluster.standby()
    seen = node.identity()
    role = "standby" if seen.in_recovery else "primary"
    fact("server", f"{node} ({role}), PostgreSQL {seen.version_text}")
    fact("reached through", node.host.way)
    fact("data directory", seen.data_directory)
    fact("pg_hba.conf", seen.hba_file)
    fact("system identifier", seen.system_identifier)
    fact("size of all databases", readable_bytes(database_bytes(node)), bound=False)
    check(
        f"the data directory of {node} is the one of the settings",
        lambda: _same_directory(node, seen.data_directory),
        seen=lambda: f"settings {node.data_directory}, server {seen.data_directory}",
        hint="Is this another server on the same port? Correct the inventory.",
    )
    return node


def insist_on_one_writer(cluster: Cluster) -> None:
    """Refuse a split brain: nobody knows which of two writable nodes is worth a backup."""
    writable = [node.name for node in cluster.nodes if node.accepts_writes()]
    if not writable:
        _insist_on_an_answer(cluster)
    check(
        f"no two nodes of {cluster} accept writes",
        lambda: len(writable) < 2,
        seen=lambda: f"{' and '.join(writable)} do: split brain",
        hint="Stop everything that writes, and find out which one is right.",
    )


def _insist_on_an_answer(cluster: Cluster) -> None:
    """Tell why nobody answers, node by node, where not one of them does."""
    errors = []
    for node in cluster.nodes:
        try:
            node.ask("SELECT 1 AS one")
        except (Unreachable, CommandFailed) as error:
            errors.append(error)
        else:
            return
    raise Unreachable(
        f"no node of {cluster} answers: {errors[0].message}",
        detail="\n".join(f"{error.message}: {error.detail}" for error in errors),
        hint=errors[0].hint,
    )


def keeper(cluster: Cluster, store: StoreSettings) -> Node:
    """Give the node whose host a folder store lies on: in a cluster, the one that is backed up."""
    if len(cluster.nodes) == 1 or not isinstance(store.location, NodeFolderStore):
        return cluster.nodes[0]
    return cluster.primary() if cluster.backups.source == "primary" else cluster.standby()


def kept_free(node: Node, store: StoreSettings) -> Reserve:
    """Give what the server must find free where a store lies on one of its own file systems."""
    location = store.location
    on_node = isinstance(location, NodeFolderStore)
    on_worker = isinstance(location, FolderStore) and isinstance(node.host.way, Local)
    if isinstance(location, (NodeFolderStore, FolderStore)) and (on_node or on_worker):
        return reserve_beside(node, str(location.path))
    return Reserve(node, {})


def _same_directory(node: Node, told: str) -> bool:
    """Compare two paths; one of them may be a symbolic link."""
    wanted = node.service.seen_inside(node.data_directory)
    if wanted == told:
        return True
    real = node.console.read("readlink", "-f", wanted, told, user=node.server_user)
    return len(set(real.splitlines())) == 1


def database_bytes(node: Node) -> int:
    """Ask for the size of all databases."""
    return int(str(node.ask(SIZE)[0]["size"]))
