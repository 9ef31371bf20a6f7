"""The primary after a logical recovery: its roles in a new site, and repmgr's metadata."""

from __future__ import annotations

from runbook import Need, ensure, note
from runbook.actions import Action, Work
from runbook.errors import CommandFailed
from runbook.logical.recovery import site_script
from runbook.logical.recovery.databases import statement
from runbook.logical.recovery.job import Recovery
from runbook.logical.recovery.settings import RecoverySettings
from runbook.logical.settings import LogicalBackups
from runbook.replication.members import repmgr_of
from runbook.run import current
from tasks import slots
from tasks._task import task

# The page's own statement: what repmgr knew on the day of the backup is forgotten.
_FORGET = (
    "DO $$ DECLARE r record; BEGIN FOR r IN (SELECT tablename FROM pg_catalog.pg_tables "
    "WHERE schemaname = 'repmgr') LOOP EXECUTE 'TRUNCATE repmgr.' || "
    "pg_catalog.quote_ident(r.tablename) || ' CASCADE'; END LOOP; END $$"
)


@task("update the database roles on {job.primary}")
def update_roles(job: Recovery, settings: LogicalBackups, *, scenario: str) -> None:
    """Run the site's own script of roles and databases; in a new site only."""
    script, node = settings.recovery.role_script, job.primary
    if scenario != "new-site":
        note("the same deployment: its roles are those of the backup")
        return
    if not script:
        note("the settings name no role_script: nothing is run")
        return
    line = node.console.shown(site_script.line(node, script))
    ensure(
        f"roles and databases of {node} are those of {script}",
        holds=lambda: job.has("roles_updated"),
        needs=[_still_primary(job)],
        by=[
            Work(node.console.name, line, lambda: _run_script(job, settings.recovery)),
            job.noting("roles_updated"),
        ],
    )


@task("clean repmgr's database and register {job.primary}")
def clean_repmgr(job: Recovery) -> None:
    """See that repmgr knows this primary as such, and nothing of the day of the backup."""
    ensure(
        f"repmgr knows {job.primary} as the primary, and no state of before",
        holds=lambda: _is_clean(job),
        needs=[_still_primary(job)],
        by=lambda: _cleaning(job),
        within=10,
    )


def audit_slots(job: Recovery) -> None:
    """Insist on a slot for every standby; a plan cannot ask while repmgr's database is aside."""
    if not current().planning:
        slots.audit(job.primary, job.lineup.members)


def _run_script(job: Recovery, wanted: RecoverySettings) -> str:
    try:
        return site_script.run(job.primary, wanted.role_script, wanted.expected_errors)
    except CommandFailed as error:
        error.hint = (
            "Name what does no harm in logical.recovery.expected_errors, or mend the script: it is "
            'run once more. Or do what lacks by hand, and set logical.recovery.role_script to "". '
            f"Then start again with backup={job}: it goes on from here."
        )
        raise


def _cleaning(job: Recovery) -> tuple[Action, ...]:
    node = job.primary
    if job.repmgr_database not in job.names:
        return job.metadata.actions()
    forget = statement(node, _FORGET, database=repmgr_of(node).database)
    return (forget, *job.metadata.actions(), job.noting("repmgr_cleaned"))


def _is_clean(job: Recovery) -> bool:
    if job.repmgr_database in job.names and not job.has("repmgr_cleaned"):
        return False
    return job.metadata.is_right()


def _still_primary(job: Recovery) -> Need:
    return Need(
        f"{job.primary} accepts writes",
        job.primary.accepts_writes,
        hint="Was another node promoted? Find out which one is right before you go on.",
    )
