"""Which backup a new Orchestrator is made of, and whether it fits there; before any change."""

from __future__ import annotations

from datetime import UTC, datetime

from runbook import check, fact, note
from runbook.errors import CheckFailed, SettingsError
from runbook.orchestrator.backup import OrchestratorBackup
from runbook.orchestrator.dump_text import DumpText
from runbook.orchestrator.former import FormerOrchestrator, addresses
from runbook.orchestrator.mark import Marked
from runbook.orchestrator.places import Places
from runbook.orchestrator.release import RESTORABLE, is_release, is_restorable
from runbook.orchestrator.restoring import Restoring
from runbook.orchestrator.retirement import Retirement
from runbook.run import current
from runbook.units import readable_bytes, readable_seconds
from tasks._task import task


@task("choose the backup")
def choose(
    places: Places,
    backup: str,
    release: str,
    old_is_off: str,
    *,
    new_address: bool,
    node_number: int,
) -> Restoring:
    """Give the restore of a backup, onto this Orchestrator, in place of the old one."""
    old = _former(places)
    chosen = _named(places, backup)
    retirement = Retirement(old, places.live, addresses(places.live.node.host))
    known, statement = chosen.release or release, old_is_off.strip()
    job = Restoring(places, chosen, retirement, known, statement, node_number)
    _tell(job)
    _release_fits(job, release)
    _address_fits(job, new_address=new_address)
    check(
        "node_number is one of the list that orchestrator-cli ssh shows",
        lambda: node_number > 0,
        seen=lambda: f"it is {node_number}",
        hint="The list begins with 1.",
    )
    return job


@task("verify the backup")
def verify(job: Restoring) -> None:
    """Insist that the stored archive is whole, and that this server can read its dump."""
    if job.is_loaded():
        note("the backup is loaded already: it is not read again")
        return
    contents, major = job.copied.read(), job.live.identity.major
    note(
        f"{job.backup.archive}: {len(contents.members)} members, read to the last byte; "
        f"SHA-256 {job.backup.sha256}"
    )
    client = contents.client_major(job.backup.dump)
    check(
        f"the dump is of a pg_dump that is no newer than PostgreSQL {major} on {job.live}",
        lambda: client <= major,
        seen=lambda: f"pg_dump {client}",
        hint="It may use what this server does not know. Import a newer Orchestrator.",
    )
    text = contents.plain.get(job.backup.dump)
    if text is not None and not text.tells_rows:
        fact("ROWS NOT COUNTED", "the dump has INSERT: its tables alone are compared with it")
    if text is not None and job.backup.way == "manual":
        _psql_loads(job, text)


def _psql_loads(job: Restoring, text: DumpText) -> None:
    """Insist on what is known to stop a load by psql, while the old one still works."""
    if text.is_restricted:
        check(
            f"psql on {job.live} knows \\restrict, which the dump begins with",
            job.knows_restricted,
            hint="psql knows it since 13.22, 14.19, 15.14, 16.10 and 17.6: update it there.",
        )
    if text.comments_on_plpgsql:
        role = job.live.settings.database_user
        check(
            f"{role} is a superuser on {job.live}: the dump has COMMENT ON EXTENSION plpgsql",
            job.is_superuser,
            hint=f"ALTER ROLE {role} SUPERUSER, and NOSUPERUSER when the restore has ended.",
        )


def _former(places: Places) -> FormerOrchestrator:
    old = places.live.settings.previous
    if old is None:
        raise SettingsError(
            f"{places.live} replaces no Orchestrator that is known",
            detail="orchestrator.previous is not set",
            hint="Describe the old one there: two Orchestrators must never live, and "
            "this runbook proves that it is off.",
        )
    return old


def _named(places: Places, backup: str) -> OrchestratorBackup:
    """Give a backup by its id; latest is the newest, until one is restored: then it is that one.

    What the new Orchestrator has backed up since is of itself.
    """
    sound, mark = places.vault.sound(), Marked(places.live).read()
    if backup == "latest" and mark and mark.state != "superseded":
        backup = mark.backup
    found = [each for each in sound if backup in {each.id, "latest"}]
    if not found:
        known = ", ".join(each.id for each in sound[-5:]) or "none"
        begun = f"; {places.live} has {mark.told}" if mark else ""
        raise CheckFailed(
            f"there is no whole backup {backup!r} in {places.vault}",
            detail=f"the newest are: {known}{begun}",
            hint="Name one of these. latest is the newest, until one is restored: then that one.",
        )
    return found[-1]


def _tell(job: Restoring) -> None:
    chosen, now, mark = job.backup, job.target.now(), job.marked.read()
    newest = job.places.vault.sound()[-1]
    fact(
        "backup", f"{chosen.id} ({chosen.way}), of {chosen.node}, PostgreSQL {chosen.server_major}"
    )
    if chosen.id != newest.id:
        fact("NOT THE NEWEST", f"the newest backup is {newest.id}")
    fact("archive", f"{chosen.archive}, {readable_bytes(chosen.size)}, SHA-256 {chosen.sha256}")
    since = chosen.began.astimezone(UTC)
    fact("LOST", f"what the Orchestrator did since {since:%Y-%m-%d %H:%M:%S} UTC")
    age = (datetime.now(UTC) - chosen.began).total_seconds()
    fact("age", readable_seconds(age), bound=False)
    if mark is not None and (mark.backup != chosen.id or mark.state == "superseded"):
        fact(f"{job.target.name} now", f"by the mark: {mark.told}")
    if now is None:
        fact("stands there", f"no database {job.target.name}; it is made anew")
    else:
        told = f"{readable_bytes(now.size)}, {now.sessions} sessions, which are ended"
        fact("stands there", told, bound=False)
    other = job.live.settings.archive_database
    if other and chosen.way == "manual":
        fact("NOT IN THE BACKUP", f"what {other} held: its dump is of {chosen.database} alone")
    elif other:
        fact("NOT PROVEN", f"whether orchestrator-cli has backed up {other}: only its place is")
    objects = [{"name": chosen.archive, "size": chosen.size, "sha256": chosen.sha256}]
    current().record("backup", role="restored", id=chosen.id, node=chosen.node, objects=objects)


def _release_fits(job: Restoring, said: str) -> None:
    fact("release", job.release or "not known")
    check(
        "the release of the platform is known",
        lambda: is_release(job.release) and said in {"", job.release},
        seen=lambda: f"in the archive: {job.backup.release or 'none'}; said: {said or 'none'}",
        hint="A deploy needs it, after each reboot of the Orchestrator: release=2.4.0, as it was.",
    )
    least = ".".join(map(str, RESTORABLE))
    if job.backup.way == "manual" and not is_restorable(job.release):
        fact("Chef agents", f"before release {least}: configure them by hand, with the support")
        return
    check(
        f"the release of the backup is {least} or later",
        lambda: is_restorable(job.release),
        seen=lambda: f"it is {job.release}",
        hint="orchestrator-cli restore works with no older one. Take a manual backup and restore "
        "that; then the Chef agents must be configured by hand.",
    )


def _address_fits(job: Restoring, *, new_address: bool) -> None:
    old, has = job.old, ", ".join(sorted(job.retirement.addresses))
    fact("replaces", f"{old} ({old.host.way}), which the platform knew at {old.address}")
    if new_address and not job.retirement.has_address:
        fact("NEW ADDRESS", f"{job.live} does not have {old.address}; it has {has}")
        return
    check(
        f"{job.live} has the address of the old Orchestrator, {old.address}",
        lambda: job.retirement.has_address,
        seen=lambda: f"it has {has}",
        hint="Give it that address, as the page says. Or say new_address=true: then the Chef "
        "agents learn of it by a deploy, and before release 2.4.0 by hand.",
    )
