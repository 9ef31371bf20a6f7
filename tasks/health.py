"""Proof that a cluster is in service."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from runbook import check, fact, note
from runbook.apps import App
from runbook.cluster import Cluster
from runbook.health import looks
from runbook.health.check import HttpCheck
from runbook.health.conversation import problem
from runbook.health.examination import Examination
from runbook.health.finding import Finding, Level
from runbook.health.report import worst
from runbook.health.scope import Scope
from runbook.objectives import RECOVERY_POINT, RECOVERY_TIME, Figure, Objectives
from runbook.postgres import Node
from runbook.postgres.collations import HINT, mismatches
from runbook.postgres.relations import DROP_AGAIN, half_dropped, read_every_relation
from runbook.replication.survey import survey
from runbook.restore.job import Restore
from runbook.run import current
from runbook.units import readable_seconds
from tasks._task import task
from tasks.examination import carry_out, listed, make_calls, tell

_PAUSE_SECONDS = 1.0
_NONE = Objectives()


@task("read every relation on {node}")
def every_relation(node: Node) -> None:
    """Open every relation of every database."""
    check(f"every relation of every database on {node} can be read", lambda: _read_all(node))


@task("compare the collation versions on {node}")
def collations(node: Node) -> None:
    """Tell of databases whose indexes on text were made with another library; fails nothing."""
    if current().planning:
        return
    differing = mismatches(node)
    if differing:
        note(f"WARNING: collation versions differ: {'; '.join(map(str, differing))}. {HINT}")


def streaming(cluster: Cluster) -> tuple[Node, ...]:
    """Give the standbys that stream now: a run leaves none of them worse than it has found it."""
    seen = survey(cluster)
    return tuple(node for node in seen.standbys if seen.state(node).streams)


@task("check the health of {cluster}")
def cluster_is_healthy(
    cluster: Cluster,
    *,
    serving: Sequence[Node] | None = None,
    apps: Sequence[App] | None = None,
    read_all: bool = False,
    within: float = 30.0,
) -> None:
    """Make a whole health check as the last step of a runbook; CheckFailed at CRITICAL.

    A plan only lists it. Standbys and applications have `within` seconds to come to rest. Nodes
    and applications that are not among those given are named as left out, and not judged. An
    application whose jobs have all ended well is taken for done, not for stopped by hand.
    """
    scope = Scope.of(cluster, cluster.nodes if serving is None else serving)
    judged = cluster.apps if apps is None else tuple(apps)
    exam = Examination(cluster)
    if current().planning:
        listed("a health check of PostgreSQL, repmgr and the applications finds nothing critical")
    else:
        exam.keep(_at_rest(scope, judged, read_all=read_all, within=within))
        exam.keep(_left_out(scope, judged))
    make_calls(exam, wanted=_has_changed())
    tell(exam)


@task("check the applications' health")
def applications(cluster: Cluster) -> None:
    """Make every declared call until it is answered as expected, or its patience ends.

    Checks that change something are made only where this run has changed something.
    """
    for declared in cluster.health:
        if declared.writes:
            carry_out(cluster, declared, wanted=_has_changed())
            continue
        asked = _Asked(cluster, declared)
        check(str(declared), asked.is_answered, seen=asked.seen, hint=_DATA_IS_PROVEN)


@task("report the outage and the age of the data")
def report(job: Restore, objectives: Objectives = _NONE) -> None:
    """Tell recovery time and recovery point as measured, by whichever run, against the budget.

    Told before the restore is closed: killed in between, the next run tells them. Those of one
    that another run has closed stand on the record of that run.
    """
    run = current()
    if job.settled() is not None:
        return
    age = (datetime.now(UTC) - job.backup.began).total_seconds()
    if run.planning:
        fact("age of the data", objectives.judged(RECOVERY_POINT, age), bound=False)
        return
    point = _measured(objectives.judged(RECOVERY_POINT, age))
    note(f"recovery point (RPO): the data is {readable_seconds(age)} old{point}")
    outage = job.outage()
    if outage is not None:
        duration = _measured(objectives.judged(RECOVERY_TIME, outage))
        took = f"{readable_seconds(outage)} from stop to healthy"
        note(f"recovery time (RTO): {took}{duration}")


def _measured(figure: Figure) -> str:
    """Remember what was measured for the end of the record; say how it stands to its budget."""
    current().memory.update(figure.remembered)
    return f" ({figure.judgement})" if figure.verdict else ""


_DATA_IS_PROVEN = "Look at the application's log. The database itself is restored and proven."


@dataclass
class _Asked:
    """A check that was made, and what was not as expected."""

    cluster: Cluster
    declared: HttpCheck
    trouble: str = ""

    def is_answered(self) -> bool:
        self.trouble = problem(self.declared, self.cluster.health_secrets)
        return not self.trouble

    def seen(self) -> str:
        return self.trouble


def _read_all(node: Node) -> bool:
    note(f"{read_every_relation(node)} relations can be read")
    if left := half_dropped(node):
        note(f"WARNING: {left}. {DROP_AGAIN}")
    return True


def _has_changed() -> bool:
    """Tell whether this run has changed something, or its plan does."""
    run = current()
    return run.builder.anything_planned if run.planning else run.changed > 0


def _left_out(scope: Scope, judged: Sequence[App]) -> list[Finding]:
    """Name what this run has left out of service on purpose."""
    apps = [str(app) for app in scope.cluster.apps if app not in judged]
    left = [*map(str, scope.left_out), *apps]
    if left:
        note(f"left out by this run: {', '.join(left)}")
    return looks.left_out(left)


def _at_rest(
    scope: Scope, judged: Sequence[App], *, read_all: bool, within: float
) -> list[Finding]:
    """Look until nothing is critical, or the patience ends."""
    deadline = time.monotonic() + within
    while True:
        seen = survey(scope.serving)
        found = looks.databases(scope, seen, read_all=read_all)
        found += looks.replication_manager(scope, seen)
        found += looks.containers(judged, begun=True)
        if worst(found) is not Level.CRITICAL or time.monotonic() > deadline:
            return found
        time.sleep(_PAUSE_SECONDS)
