"""Are logical backups there, and would a recovery from one find what it needs?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from deployments.cli.finding import Finding, not_tried, tried
from runbook.cluster import Cluster
from runbook.errors import CheckFailed
from runbook.hosts import Host
from runbook.inventory import StoreSettings
from runbook.logical.reading import stored_dumps
from runbook.logical.recovery.firewall import PortBlock
from runbook.logical.recovery.settings import RecoverySettings
from runbook.logical.settings import LogicalBackups
from runbook.postgres import Node
from runbook.stores import NodeFolderStore
from runbook.supervised import Supervised
from runbook.tools import pg_dumpall


def logical_findings(
    cluster: Cluster, settings: LogicalBackups, store: StoreSettings, lost: set[Host]
) -> Iterator[Finding]:
    """Try what the settings of logical backups name; of a recovery only where repmgr manages."""
    where = f"store {store.name}"
    what = f"logical backups of {settings.guid} can be listed"
    host = cluster.nodes[0].host
    if isinstance(store.location, NodeFolderStore) and host in lost:
        yield not_tried(where, what, host)
    else:
        yield tried(where, what, lambda: _listed(cluster, settings, store))
    for node in cluster.nodes:
        if node.repmgr is not None and node.host in lost:
            yield not_tried(f"node {node}", "a recovery finds what it needs", node.host)
        elif node.repmgr is not None:
            yield from _recovery_findings(node, settings.recovery)


def _recovery_findings(node: Node, wanted: RecoverySettings) -> Iterator[Finding]:
    where = f"node {node}"
    yield tried(where, "pg_dumpall runs", partial(_version, node))
    if wanted.block_port:
        block = PortBlock(node, (node,), wanted.block_expires)
        yield tried(where, "nft may be used as root", partial(_possible, block))
    if wanted.repmgr is not None:
        daemon = Supervised(node.host, wanted.repmgr)
        yield tried(where, f"{wanted.repmgr.process} is run by monit", partial(_runs, daemon))
    if wanted.role_script:
        yield _script_finding(node, where, wanted.role_script)


def _listed(cluster: Cluster, settings: LogicalBackups, store: StoreSettings) -> str:
    with store.open(cluster.nodes[0].host) as opened:
        names = [str(dump.name) for dump in stored_dumps(opened, settings)]
    return f"{len(names)}, the newest is {names[-1]}" if names else "none yet"


def _version(node: Node) -> str:
    command = pg_dumpall.version(node.located().program("pg_dumpall"), user=node.server_user)
    return node.console.run(command).stdout.strip()


def _possible(block: PortBlock) -> str:
    if not block.is_possible():
        raise CheckFailed(
            f"nft list tables fails on {block.node.host}",
            hint="Install nftables and let the login become root; or set logical.recovery."
            "block_port to false, and keep clients away by yourself.",
        )
    return ""


def _runs(daemon: Supervised) -> str:
    if not daemon.runs():
        raise CheckFailed(
            f"{daemon}: no {daemon.settings.command} runs that monit watches",
            hint="Start it, or correct logical.recovery.repmgr in the settings.",
        )
    return ""


def _script_finding(node: Node, where: str, script: str) -> Finding:
    there = node.host.holds("test", "-f", script, user=node.os_user)
    return Finding(
        where,
        f"{script} is there",
        ok=True,
        gravity="" if there else "note",
        seen="" if there else "it is not; a recovery in a new site runs it",
        hint="" if there else "Correct logical.recovery.role_script if there is another one.",
    )
