"""Who reads, on a standby, a component database that was set aside on the primary.

For the replay a rename is no conflict: a session goes on in the database that it is in, whatever
that is called now, and reads the old data for as long as it lives.
"""

from __future__ import annotations

from collections.abc import Sequence

from runbook import ensure, note
from runbook.actions import Action, Execute
from runbook.components import statements
from runbook.components.group import Server, ServerGroup
from runbook.components.restoring import ComponentRestore
from runbook.components.standing import aside_name, is_aside, standing
from runbook.errors import GoalNotReached
from runbook.postgres import Node
from runbook.run import current
from tasks._task import task

_PATIENCE_SECONDS = 60.0
_HELD_BACK_SECONDS = 1.0
_STAMP = "YYYYmmddHHMMSS"
_NUMBERS = "SELECT datname AS name, oid::int8 AS oid FROM pg_catalog.pg_database"
_READERS = """
SELECT datname AS name FROM pg_catalog.pg_stat_activity
WHERE datname IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()
"""
_HELD_BACK = """
SELECT pg_catalog.pg_is_wal_replay_paused()
       OR current_setting('recovery_min_apply_delay') <> '0' AS held
"""


@task("end who reads the old databases on the standbys")
def end(group: ServerGroup, jobs: Sequence[ComponentRestore]) -> None:
    """See that every standby's sessions in what was set aside have ended, where it has replayed."""
    for server in group.servers if current().planning or _asides(jobs) else ():
        if server.is_standby and (current().planning or _has_replayed(server, jobs)):
            ensure(
                f"nobody on {server} reads a database that was set aside",
                holds=lambda server=server: not _asides(jobs) & _read(server.node),  # type: ignore[misc]
                by=lambda server=server: [_ending(server, jobs)],  # type: ignore[misc]
                within=_PATIENCE_SECONDS,
            )


def _has_replayed(server: Server, jobs: Sequence[ComponentRestore]) -> bool:
    held = server.node.ask(_HELD_BACK)[0]["held"] is True
    names = {job.database for job in jobs} | _asides(jobs)
    try:
        ensure(
            f"{server} has replayed the new names",
            holds=lambda: _numbers(jobs[0].node, names) == _numbers(server.node, names),
            by=(),
            within=_HELD_BACK_SECONDS if held else _PATIENCE_SECONDS,
        )
    except GoalNotReached:
        note(
            f"{server} has not replayed it yet: who reads there reads the old data. Once it has, "
            f"this ends them: {_ending(server, jobs)}"
        )
        return False
    return True


def _asides(jobs: Sequence[ComponentRestore]) -> set[str]:
    """Name what stands aside on the primary, of this restore and of older ones."""
    there = standing(jobs[0].node)
    return {name for name in there for job in jobs if is_aside(name, job.database)}


def _numbers(node: Node, names: set[str]) -> dict[str, object]:
    return {str(row["name"]): row["oid"] for row in node.ask(_NUMBERS) if row["name"] in names}


def _read(node: Node) -> set[str]:
    return {str(row["name"]) for row in node.ask(_READERS)}


def _ending(server: Server, jobs: Sequence[ComponentRestore]) -> Action:
    names = [aside_name(job.database, _STAMP) for job in jobs]
    if not current().planning:
        names = sorted(_asides(jobs))
    command = server.node.statement(statements.ending(names))
    return Execute(server.node.console, command)
