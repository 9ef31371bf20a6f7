"""Can everything that the settings name be reached and used? Reads, and one probe object."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from deployments.cli.finding import Finding, failed, has_program, not_tried, reached, tried
from deployments.cli.node_findings import node_findings
from runbook.apps import App
from runbook.cluster import Cluster
from runbook.errors import Damaged, RunbookError
from runbook.health.check import HttpCheck
from runbook.health.conversation import problem
from runbook.hosts import Host
from runbook.inventory import StoreSettings
from runbook.stores import NodeFolderStore, OpenStore
from runbook.units import readable_bytes

_PROBE = b"Written by pg-runbooks check; it may be removed.\n"
_ROOM = 1.2
_SIZE = """
SELECT sum(pg_catalog.pg_database_size(oid))::bigint AS size FROM pg_catalog.pg_database
"""


def findings(cluster: Cluster, store: StoreSettings, lost: set[Host]) -> Iterator[Finding]:
    """Try everything that a cluster's settings name; hosts that cannot be reached become `lost`."""
    for node in cluster.nodes:
        yield from node_findings(cluster, node, lost)
    yield from _store_findings(cluster, store, lost)
    for app in cluster.apps:
        yield from _app_findings(app, lost)
    for check in cluster.health:
        yield _health_finding(cluster, check)


def _store_findings(cluster: Cluster, store: StoreSettings, lost: set[Host]) -> Iterator[Finding]:
    where, host = f"store {store.name}", cluster.nodes[0].host
    if isinstance(store.location, NodeFolderStore) and host in lost:
        yield not_tried(where, f"{store} can be listed", host)
        return
    key = f"{cluster.folder}/check-{uuid.uuid4().hex}".lstrip("/")
    try:
        with store.open(host) as opened:
            yield tried(where, f"{store} can be listed", lambda: _count(opened, cluster))
            written = tried(where, "an object can be written", lambda: _write(opened, key))
            yield written
            if written.ok:
                yield tried(where, "it can be read again", lambda: _read(opened, key))
                yield tried(where, "it can be removed", lambda: _remove(opened, key))
            yield tried(where, "there is room for a backup", lambda: _room(opened, cluster, lost))
    except RunbookError as error:
        yield failed(where, f"{store} is reached", error)


def _app_findings(app: App, lost: set[Host]) -> Iterator[Finding]:
    where = f"app {app.name}"
    there = reached(where, app.host, lost)
    yield there
    if not there.ok:
        return
    command = app.managed_by.start()
    hint = f"Install it on {app.host}, or correct managed_by in the inventory."
    yield has_program(where, app.host, command.argv[0], hint)
    state = "its state can be asked"
    yield tried(where, state, lambda: "it runs" if app.is_running() else "it stands still")


def _health_finding(cluster: Cluster, check: HttpCheck) -> Finding:
    where = f"health {check.name}"
    if check.writes:
        return Finding(where, "it can be read", True, "not called: it changes something", "")
    seen = problem(check, cluster.health_secrets, within=0)
    hint = "Is the application up? Correct health in the inventory if it is." if seen else ""
    return Finding(where, f"{check.sequence[-1].url} answers", not seen, seen, hint)


def _count(store: OpenStore, cluster: Cluster) -> str:
    prefix = f"{cluster.folder}/" if cluster.folder else ""
    return f"{sum(1 for _ in store.list(prefix))} objects"


def _write(store: OpenStore, key: str) -> str:
    store.put(key, _PROBE)
    return ""


def _read(store: OpenStore, key: str) -> str:
    if store.get(key) != _PROBE:
        raise Damaged("what was read is not what was written", hint="Is there a cache between?")
    return ""


def _remove(store: OpenStore, key: str) -> str:
    store.remove([key])
    return ""


def _room(store: OpenStore, cluster: Cluster, lost: set[Host]) -> str:
    free = store.free_space()
    if free is None:
        return "the store does not tell"
    if lost.issuperset(cluster.hosts):
        raise RunbookError(f"not tried: {' and '.join(map(str, cluster.hosts))} not reached")
    needed = int(_ROOM * int(str(cluster.primary().ask(_SIZE)[0]["size"])))
    text = f"{readable_bytes(free)} free, {readable_bytes(needed)} at most needed"
    if free < needed:
        raise RunbookError(text, hint="Prune old backups, or give the store more space.")
    return text
