"""Whether a backup fits onto a new Orchestrator; all that can be known before any change."""

from __future__ import annotations

from functools import partial

from runbook import check, fact
from runbook.orchestrator.restoring import PLACEABLE, Restoring
from runbook.orchestrator.room import Room, lying, rooms
from runbook.plan import RESTORED_ALREADY
from runbook.units import readable_bytes
from tasks._task import task
from tasks.orchestrator_fitness import folder_fits


@task("check that the backup fits onto the new Orchestrator")
def fit(job: Restoring) -> None:
    """Insist on all that can be known before anything is uploaded."""
    _machine_fits(job)
    _program_fits(job)
    _database_fits(job)
    folder_fits(job.live)
    if job.is_loaded():
        _stands_still(job)
        return
    lies, stands = lying(job.live, job.copied.all()), job.has_backup()
    for room in rooms(job.live, job.backup, there=lies, stands=stands):
        _has_room(job, room)


def _machine_fits(job: Restoring) -> None:
    live, chosen = job.live, job.backup
    check(
        f"the backup is of this cluster, {live.cluster}",
        lambda: chosen.cluster == live.cluster.name,
        seen=lambda: f"it is of {chosen.cluster}",
        hint="Let the new Orchestrator have the cluster's name: no two runs are then at work.",
    )
    if live.identity.system_identifier == chosen.system_identifier:
        fact(
            "SAME IDENTIFIER", f"{live} has that of the backup: a VM of the same image has it, too"
        )
    check(
        f"the backup is of database {job.target.name}",
        lambda: chosen.database == job.target.name,
        seen=lambda: f"it is of {chosen.database}",
        hint="Let orchestrator.database be as it was: orchestrator-cli knows no other.",
    )
    check(
        f"{live} is no standby",
        lambda: not live.identity.in_recovery,
        hint="Name the server that accepts writes.",
    )
    check(
        f"PostgreSQL on {live} is no older than that of the backup, {chosen.server_major}",
        lambda: live.identity.major >= chosen.server_major,
        seen=lambda: f"it is {live.identity.version_text}",
        hint="Import an Orchestrator of the same release, or a later one.",
    )


def _program_fits(job: Restoring) -> None:
    live = job.live
    check(
        f"{live.settings.user} finds {live.settings.program} on {live}",
        lambda: live.may("which", live.settings.program),
        hint="Is this an Orchestrator? Set orchestrator.program to the path of its program.",
    )
    config = live.settings.config
    check(
        f"{live.settings.user} can put {config} in its place",
        lambda: live.may("sh", "-c", PLACEABLE, "placeable", config),
        hint=f"The folder of {config}, and of what it is a link to, must be there, and writable "
        f"for {live.settings.user}.",
    )


def _database_fits(job: Restoring) -> None:
    live, target, now = job.live, job.target, job.target.now()
    check(
        f"{live} has what database {target.name} needs",
        lambda: not target.lacks(),
        seen=lambda: f"missing: {', '.join(target.lacks())}",
        hint="A dump holds no roles and no locales. Is this the Orchestrator's own image?",
    )
    if job.backup.way == "manual":
        role = live.settings.database_user
        check(
            f"{live.settings.user} gets into PostgreSQL on {live} as {role}, without a password",
            job.may_log_in,
            hint=f"psql -w -U {role} must work there for {live.settings.user}: see pg_hba.conf, "
            "or put the password into its ~/.pgpass.",
            unless=job.is_loaded,
        )
    check(
        f"no prepared transaction and no replication slot holds {target.name}",
        lambda: now is None or not (now.prepared or now.slots),
        seen=lambda: f"{now.prepared} and {now.slots}" if now else "",
        hint="End them: a database with one cannot be renamed.",
        unless=job.is_loaded,
    )


def _stands_still(job: Restoring) -> None:
    """Refuse to call it restored where tables of it are gone; more than that is not compared."""
    name, tables = job.target.name, job.live.tables()
    told = f"backup {job.backup.id}; its contents are not compared, and it is not loaded again"
    fact(RESTORED_ALREADY, told)
    check(
        f"{name} on {job.live} still has the {job.backup.tables} tables that were restored",
        lambda: tables >= job.backup.tables,
        seen=lambda: f"it has {tables}",
        hint=f"Is it damaged? Rename {name}, or name another backup, and start again. If an "
        "upgrade took them out, nothing is to be restored: type the deploy --dry of the page.",
    )


def _has_room(job: Restoring, room: Room) -> None:
    fact(f"free on {room.mount} of {job.live}", readable_bytes(room.free), bound=False)
    check(
        f"{room.mount} of {job.live} has room for what comes there",
        partial(_is_enough, room),
        seen=lambda: f"{readable_bytes(room.free)} free, {readable_bytes(room.needed)} needed",
        hint="Make room. The database that stands there is kept until it is dropped by hand.",
    )


def _is_enough(room: Room) -> bool:
    return room.free > room.needed
