"""The steps of a health check: everything is looked at, nothing stops at the first finding."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Literal

from runbook import ensure, note
from runbook.cluster import Cluster
from runbook.errors import CheckFailed
from runbook.health import looks
from runbook.health.backups import backup_findings
from runbook.health.check import HttpCheck
from runbook.health.examination import Examination
from runbook.health.finding import Finding, Level
from runbook.health.report import counted, lines, table
from runbook.health.scope import Scope
from runbook.inventory import StoreSettings
from runbook.lock import holder_of
from runbook.places import state_directory
from runbook.plan import PlanLine
from runbook.replication.survey import survey
from runbook.run import current
from runbook.stores import OpenStore
from tasks._task import task
from tasks.locate import keeper


@task("ask PostgreSQL on every node of {exam}")
def databases(exam: Examination, read_all: bool) -> None:
    """Look at PostgreSQL on every node; say so when another run is at work meanwhile."""
    cluster = exam.cluster
    _look(
        exam,
        f"PostgreSQL is asked on {', '.join(map(str, cluster.nodes))}",
        lambda: looks.databases(Scope(cluster), survey(cluster), read_all=read_all),
    )
    at_work = holder_of(state_directory() / "locks", cluster.name)
    if at_work:
        note(f"another run is at work on {cluster}, what was found may pass: {at_work}")


@task("look for what interrupted runs have left on every node of {exam}")
def leftovers(exam: Examination) -> None:
    """Look for restores, undoes, returns and recoveries that were begun and have no end."""
    cluster = exam.cluster
    _look(
        exam,
        f"what interrupted runs have left is looked for on {', '.join(map(str, cluster.nodes))}",
        lambda: looks.leftovers(cluster),
    )


@task("ask repmgr on every node of {exam}")
def replication_manager(exam: Examination) -> None:
    """Look at repmgr on every node that it manages."""
    cluster = exam.cluster
    managed = ", ".join(str(node) for node in cluster.nodes if node.repmgr is not None)
    _look(
        exam,
        f"repmgr is asked on {managed or 'no node'}",
        lambda: looks.replication_manager(Scope(cluster), survey(cluster)),
    )


@task("look at the applications of {exam}")
def containers(exam: Examination) -> None:
    """Look whether everything of every application runs."""
    apps = exam.cluster.apps
    _look(
        exam,
        f"what runs is looked at: {', '.join(map(str, apps)) or 'no application'}",
        lambda: looks.containers(apps),
    )


@task("make the declared HTTP calls of {exam}")
def calls(exam: Examination) -> None:
    """Make the declared calls; those that change something only in a run that acts."""
    make_calls(exam, wanted=True)


@task("look at the backups of {exam}")
def backups(exam: Examination, load: Callable[[str], StoreSettings]) -> None:
    """Look how old the newest backup of each kind is, by what lies in the stores."""
    cluster = exam.cluster

    def opened(store: StoreSettings) -> AbstractContextManager[OpenStore]:
        return store.open(keeper(cluster, store).host)

    _look(
        exam,
        "the stores are asked for the newest backups",
        lambda: backup_findings(cluster, load, opened),
    )


@task("tell what was found on {exam}")
def verdict(exam: Examination) -> None:
    """Show all findings as one table; CheckFailed when one is critical."""
    tell(exam)


def make_calls(exam: Examination, *, wanted: bool) -> None:
    """Make every declared call; those that change something only where they are `wanted`."""
    cluster = exam.cluster
    for declared in cluster.health:
        if declared.writes:
            exam.keep(_carried_out(cluster, declared, wanted=wanted))
        else:
            _look(exam, str(declared), partial(_answered, cluster, declared))


def carry_out(cluster: Cluster, declared: HttpCheck, *, wanted: bool) -> None:
    """Make the calls of a check that changes something; CheckFailed when one goes wrong."""
    if not wanted:
        note(f"not called, because it changes something and this run does not: {declared}")
        return
    action = looks.sequence(cluster, declared)
    ensure(str(declared), holds=lambda: action.was_answered, by=[action])


def tell(exam: Examination) -> None:
    """Show the table, keep what is wrong on record; CheckFailed when something is critical."""
    run = current()
    if not exam.findings:
        listed("nothing that was found is critical")
        return
    count = counted(exam.findings)
    run.record("health", found=count, wrong=lines(exam.findings))
    run.memory["health"] = count
    run.watcher.finished(f"health of {exam.cluster}: {count}", table(exam.findings))
    if exam.level is Level.CRITICAL:
        raise CheckFailed(
            f"cluster {exam.cluster} is not healthy: {count}",
            detail=lines(exam.findings),
            hint="The table of findings has a hint for each of them.",
        )
    _line(f"nothing that was found is critical: {count}", "checked")
    for line in lines(exam.findings).splitlines():
        note(line)


def listed(text: str) -> None:
    """Put a check into the plan without making it."""
    _line(text, "open")


def _look(exam: Examination, text: str, look: Callable[[], list[Finding]]) -> None:
    if current().planning and not exam.at_once:
        listed(text)
        return
    _line(f"{text}: {exam.keep(look())}", "checked")


def _line(text: str, outcome: Literal["checked", "open"]) -> None:
    current().line(PlanLine(kind="check", text=text, outcome=outcome))


def _answered(cluster: Cluster, declared: HttpCheck) -> list[Finding]:
    return [looks.answered(declared, cluster)]


def _carried_out(cluster: Cluster, declared: HttpCheck, *, wanted: bool) -> list[Finding]:
    try:
        carry_out(cluster, declared, wanted=wanted)
    except CheckFailed as error:
        return [looks.called(declared, error.detail or error.message)]
    made = wanted and not current().planning
    return [looks.called(declared, "")] if made else []
