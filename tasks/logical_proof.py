"""The proof of a logical recovery: the primary holds what the backup holds, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from runbook import check, ensure, note
from runbook.logical.recovery.comparison import differences, unexpected
from runbook.logical.recovery.definitions import are_comparable, deviating_roles, deviations
from runbook.logical.recovery.job import Recovery
from runbook.logical.settings import LogicalBackups
from runbook.replication.survey import survey
from tasks import health
from tasks._task import task

_SHOWN = 10
_HINT = (
    "Do not start the applications: the old databases stand aside, and the loaded ones let in "
    "superusers alone. If these do no harm, name them in logical.recovery.expected_differences "
    "and start again: it goes on from here. With again, it loads the backup anew."
)


def prove(job: Recovery, wanted: LogicalBackups) -> None:
    """See that the primary holds what the backup holds; only then are its databases opened."""
    _compare(job, wanted)
    health.every_relation(job.primary)
    _accept(job)


@task("prove what was loaded")
def _compare(job: Recovery, wanted: LogicalBackups) -> None:
    """Compare what is there now with what the backup holds, once: applications will change it."""
    expected, found = wanted.recovery.expected_differences, list[str]()

    def has_same_rows() -> bool:
        told = differences(job.primary, job.contents, (job.repmgr_database,))
        found[:] = unexpected(told, expected)
        return not found

    def has_same_definitions() -> bool:
        found[:] = unexpected(deviations(job.primary, job.contents, job.names), expected)
        return not found

    def has_same_roles() -> bool:
        found[:] = unexpected(deviating_roles(job.primary, job.contents), expected)
        return not found

    check(
        f"{job.primary} is the only node that accepts writes",
        lambda: [node.name for node in survey(job.lineup.cluster).writable] == [job.primary.name],
        seen=lambda: survey(job.lineup.cluster).told,
        hint="Was another node promoted meanwhile? Stop it, and find out which one is right.",
    )
    check(
        f"rows, sequences, large objects, roles and databases are those in {job}",
        has_same_rows,
        unless=job.is_proven,
        seen=lambda: _told(found),
        hint=_HINT,
    )
    if not are_comparable(job.primary, job.contents):
        note("of definitions, roles and settings alone are compared: another version's pg_dumpall")
        check(
            f"roles, their members and settings are those in {job}",
            has_same_roles,
            unless=job.is_proven,
            seen=lambda: _told(found),
            hint=_HINT,
        )
    else:
        check(
            f"definitions, owners, grants, roles and settings are those in {job}",
            has_same_definitions,
            unless=job.is_proven,
            seen=lambda: _told(found),
            hint=_HINT,
        )


@task("open the loaded databases")
def _accept(job: Recovery) -> None:
    """Write down that the load is proven, and let clients into its databases."""
    ensure(
        "the proof is written down",
        holds=job.is_proven,
        by=[job.noting("proven")],
    )
    ensure(
        f"the loaded databases let in as many sessions as in {job}",
        holds=lambda: job.has("opened"),
        by=job.opening,
    )


def _told(found: Sequence[str]) -> str:
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more
