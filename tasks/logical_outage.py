"""The outage of a logical recovery: what is stopped beside the primary, and whose sessions end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from runbook import check, ensure, note, together
from runbook.actions import Action, Execute
from runbook.hosts import Command
from runbook.logical.recovery.job import Recovery
from runbook.logical.recovery.sessions import ENDING, sessions
from runbook.logical.settings import LogicalBackups
from runbook.postgres import Node
from runbook.replication.repmgrd import daemons
from runbook.supervised import Supervised
from tasks import service
from tasks._task import task

_REPMGR_SECONDS = 90.0
_SESSION_SECONDS = 30.0

_LIST = 'if [ -d "$1" ]; then cd "$1" && find . -mindepth 1 -maxdepth 1 -type f; fi'
_FIND = ("-mindepth", "1", "-maxdepth", "1", "-type", "f")


def stop_standbys(job: Recovery) -> None:
    """See that no server runs but the primary, all at the same time."""
    others = [node for node in job.lineup.stopped if node.name != job.primary.name]
    together([partial(_stop, job, node) for node in others])


@task("stop repmgr on {job.primary}")
def stop_repmgr(job: Recovery, settings: LogicalBackups) -> None:
    """See that no repmgrd acts on the primary while its database is replaced."""
    supervised = settings.recovery.repmgr
    if supervised is not None:
        daemon = Supervised(job.primary.host, supervised)
        ensure(
            f"{daemon} does not run, and PostgreSQL goes on",
            holds=lambda: job.is_proven() or daemon.is_stopped(),
            by=daemon.stopping,
            within=_REPMGR_SECONDS,
        )
    ensure(
        f"no repmgrd acts on {job.primary}",
        holds=lambda: job.is_proven() or not daemons([job.primary]).acting,
        by=(),
        within=10,
    )


@task("start repmgr on {job.primary}")
def start_repmgr(job: Recovery, settings: LogicalBackups) -> None:
    """See that repmgrd runs again where a supervisor runs it, by its process."""
    if settings.recovery.repmgr is None:
        return
    daemon = Supervised(job.primary.host, settings.recovery.repmgr)
    ensure(f"{daemon} runs", holds=daemon.runs, by=daemon.starting, within=_REPMGR_SECONDS)


@task("terminate the sessions on {job.primary}")
def end_sessions(job: Recovery) -> None:
    """See that nobody who was connected to a database is so any longer."""
    ending = _Ending(job)
    ensure(
        f"all sessions of before on {job.primary} have ended",
        holds=ending.is_over,
        by=ending.actions,
        within=_SESSION_SECONDS,
    )


@task("clear the startup locks")
def clear_locks(job: Recovery, settings: LogicalBackups) -> None:
    """Remove stale locks on the stopped nodes: their process ids may be others' by now."""
    directory = settings.recovery.startup_locks
    if not directory:
        note("the settings name no directory of startup locks")
        return
    for node in job.lineup.standbys:
        find = ("find", directory, *_FIND)
        ensure(
            f"{directory} on {node} holds no stale lock",
            holds=lambda node=node: job.is_proven() or not _locks(node, directory),  # type: ignore[misc]
            needs=[service.still_stopped(node, node.directory())],
            by=[Execute(node.host, Command((*find, "-delete"), user="root"))],
        )
    check(
        f"no startup lock of {job.primary} is touched: PostgreSQL runs there",
        job.primary.accepts_connections,
        seen=lambda: "it does not answer",
    )


@dataclass
class _Ending:
    """Sessions that were there when they were told to end; who comes later is not meant."""

    job: Recovery
    told: frozenset[int] = frozenset()
    asked: bool = False

    def is_over(self) -> bool:
        if self.job.has("proven"):
            return True
        now = sessions(self.job.primary)
        return not (self.told & now) if self.asked else not now

    def actions(self) -> tuple[Action, ...]:
        primary = self.job.primary
        self.told, self.asked = sessions(primary), True
        return (Execute(primary.console, primary.statement(ENDING)),)


def _stop(job: Recovery, node: Node) -> None:
    service.stop(node, unless=job.is_proven)


def _locks(node: Node, directory: str) -> bool:
    return bool(node.host.read("sh", "-c", _LIST, "locks", directory).strip())
