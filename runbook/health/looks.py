"""All that a health check looks at; what cannot be looked at is itself a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from runbook.apps import App
from runbook.cluster import Cluster
from runbook.health import metadata
from runbook.health.check import HttpCheck
from runbook.health.conversation import problem
from runbook.health.finding import Finding, Level, found, gathered
from runbook.health.leftovers import WHAT, leftover_findings
from runbook.health.roles import role_findings
from runbook.health.scope import Scope
from runbook.health.sequence import HttpSequence
from runbook.health.servers import relation_findings, server_findings
from runbook.health.slot_use import slot_findings
from runbook.postgres import Node
from runbook.replication.survey import Survey

_HINT = "Look at the application's log, and at the calls in health of the cluster's settings."


def databases(scope: Scope, survey: Survey, *, read_all: bool) -> list[Finding]:
    """Look at PostgreSQL on every node; `read_all` opens every relation, which takes its time."""
    cluster = scope.cluster
    roles = gathered(
        str(cluster),
        "replication",
        lambda: role_findings(str(cluster), survey, cluster.health_limits),
    )
    answering = (*survey.writable, *survey.standbys)
    return roles + _each(answering, partial(_server, scope, survey, read_all))


def replication_manager(scope: Scope, survey: Survey) -> list[Finding]:
    """Look at repmgr, where the settings name it; a server that is down has its finding already."""
    managed = [node for node in (*survey.writable, *survey.standbys) if node.repmgr is not None]
    if not managed:
        return []
    own = _each(
        managed, lambda n: gathered(str(n), "repmgr", lambda: metadata.node_findings(n, scope))
    )
    return own + gathered(
        str(scope.cluster), "repmgr", lambda: metadata.cluster_findings(scope, survey)
    )


def leftovers(cluster: Cluster) -> list[Finding]:
    """Look at every node for what interrupted runs have left there, also where no server runs."""
    return _each(
        cluster.nodes, lambda n: gathered(str(n), WHAT, lambda: leftover_findings(cluster, n))
    )


def left_out(names: Sequence[str]) -> list[Finding]:
    """Name what is out of service on purpose: nobody looks at it."""
    return [found(Level.OK, name, "in service", "left out by this run") for name in names]


def containers(apps: Sequence[App], *, begun: bool = False) -> list[Finding]:
    """Look whether everything of every application runs that should, or was `begun` and is done."""
    return _each(apps, lambda app: gathered(str(app), "containers", lambda: [_running(app, begun)]))


def answered(check: HttpCheck, cluster: Cluster) -> Finding:
    """Make the calls of a check that changes nothing."""
    return called(check, problem(check, cluster.health_secrets))


def sequence(cluster: Cluster, check: HttpCheck) -> HttpSequence:
    """Give the action of a check that changes something."""
    return HttpSequence(check, cluster.health_secrets)


def called(check: HttpCheck, trouble: str) -> Finding:
    """Give the finding of a check that was made; `trouble` is empty when all went well."""
    failed = Level.CRITICAL if check.level == "critical" else Level.WARNING
    well = "all calls are answered as expected" if check.calls else "is answered as expected"
    return found(failed if trouble else Level.OK, "HTTP", check.name, trouble or well, _HINT)


def _server(scope: Scope, survey: Survey, read_all: bool, node: Node) -> list[Finding]:
    standby = survey.state(node).in_recovery
    limits = scope.cluster.health_limits
    looks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("server", lambda: server_findings(node, limits, in_recovery=standby)),
        ("slots", lambda: slot_findings(node, survey, scope)),
    ]
    if read_all:
        looks.append(("every relation", lambda: relation_findings(node)))
    return [one for what, look in looks for one in gathered(str(node), what, look)]


def _running(app: App, begun: bool) -> Finding:
    up = app.is_up(begun=begun)
    start, make = (app.host.shown(each) for each in (app.managed_by.start(), app.managed_by.make()))
    removed = "" if make == start else f"; where it has no containers: {make}"
    hint = f"Start it on {app.host}: {start}{removed}"
    level = Level.OK if up else Level.CRITICAL
    return found(level, str(app), "containers", "all run" if up else "not all of it runs", hint)


def _each(
    things: Sequence[App] | Sequence[Node], look: Callable[..., list[Finding]]
) -> list[Finding]:
    """Look at several things at the same time."""
    with ThreadPoolExecutor(max_workers=max(1, len(things))) as pool:
        return [finding for findings in pool.map(look, things) for finding in findings]
