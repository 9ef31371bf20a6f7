"""Which dumps are restored, and how they come to the primary."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from runbook import check, ensure, fact, note
from runbook.cluster import Cluster
from runbook.components.catalogue import DumpCatalogue
from runbook.components.dump import DUMP, DatabaseDump
from runbook.components.fetching import Fetching
from runbook.components.group import ServerGroup, observed, settings_of
from runbook.components.places import Places
from runbook.components.restoring import ComponentRestore
from runbook.errors import CheckFailed, SettingsError
from runbook.run import current
from runbook.units import readable_bytes, readable_seconds
from tasks._task import task
from tasks.locate import insist_on_one_writer

Source = Literal["local", "store"]

_ALL = "all"


@task("find the primary of {cluster}")
def find(cluster: Cluster) -> ServerGroup:
    """Give the servers as they answer; the dumps go to the one that accepts writes."""
    settings_of(cluster)
    insist_on_one_writer(cluster)
    group = observed(cluster)
    fact("primary", f"{group.primary}, PostgreSQL {group.primary.identity.version_text}")
    fact("system identifier", group.primary.identity.system_identifier)
    return group


@task("choose the dumps of {database}")
def choose(
    places: Places, database: str, backup: str, source: Source, *, again: bool
) -> tuple[ComponentRestore, ...]:
    """Find the dump of the database, or of all of them."""
    known = places.group.settings.databases
    if database not in (*known, _ALL):
        raise SettingsError(
            f"{database!r} is no component database of {places.group.cluster}",
            detail=f"the settings name {', '.join(known)}",
            hint="Name one of these, or all.",
        )
    catalogue = _catalogue(places, source)
    names = known if database == _ALL else (database,)
    jobs = tuple(
        ComponentRestore(
            places.keepers[0],
            _chosen(catalogue, name, backup),
            places.group.settings.at_once,
            again,
        )
        for name in names
    )
    for job in jobs:
        _tell(job, catalogue)
        _loaded_copies_can_go(places, job)
    if len({job.dump.id for job in jobs}) > 1:
        note("these dumps are not of one run: the databases go back to different moments")
    return jobs


@task("bring the dumps to the primary")
def bring(places: Places, jobs: tuple[ComponentRestore, ...], source: Source) -> None:
    """See that every dump lies in the primary's folder; a store's is compared by SHA-256."""
    if source == "local":
        note("the dumps lie on the primary")
        return
    for job in jobs:
        fetching = Fetching(job.dump, _catalogue(places, source), job.keeper)
        with fetching.unfinished_removed():
            ensure(
                f"{job} lies on {job.node}",
                holds=lambda job=job, fetching=fetching: job.is_ready() or fetching.is_there(),  # type: ignore[misc]
                by=fetching.actions,
            )


def _catalogue(places: Places, source: Source) -> DumpCatalogue:
    if source == "local":
        return places.keepers[0].catalogue
    if places.vault is None:
        raise SettingsError(
            f"cluster {places.group.cluster} keeps no dumps in a store",
            detail="components.store is not set",
            hint="Restore with source local.",
        )
    return places.vault


def _chosen(catalogue: DumpCatalogue, database: str, wanted: str) -> DatabaseDump:
    if wanted != "latest":
        return catalogue.get(database, wanted)
    shelf = catalogue.look(database)
    sound = shelf.sound
    if not sound:
        raise CheckFailed(
            f"there is no dump of {database} in {catalogue}",
            hint="After a failover the new primary may have none: restore with source store.",
        )
    chosen = max(sound, key=lambda dump: (dump.finished, dump.id))
    for dump in shelf.dumps:
        if dump not in sound and dump.finished > chosen.finished:
            note(f"{dump.name} in {catalogue} is newer, and not whole: it is passed over")
    return chosen


def _loaded_copies_can_go(places: Places, job: ComponentRestore) -> None:
    """Insist that what an interrupted run has loaded whole is not the last copy of its dump."""
    kept = {dump.id for each in places.catalogues for dump in each.sound(job.database)}
    last = [one.name for one in job.loaded() if one.mark and one.mark.dump not in kept]
    check(
        f"no copy of {job.database} that is dropped is the last of its dump",
        lambda: not last,
        seen=lambda: f"loaded whole by an interrupted run, its dump is gone: {', '.join(last)}",
        hint="Keep it under another name (ALTER DATABASE ... RENAME TO ...), or drop it by hand.",
        unless=job.is_ready,
    )


def _tell(job: ComponentRestore, catalogue: DumpCatalogue) -> None:
    dump, now = job.dump, job.standing()
    age = (datetime.now(UTC) - (dump.as_of or dump.began)).total_seconds()
    fact(
        f"dump of {job.database}",
        f"{dump.name} from {catalogue}, {readable_bytes(dump.size)}, taken {dump.occasion} on "
        f"{dump.node} ({dump.role}), PostgreSQL {dump.server_version}",
    )
    since = (dump.as_of or dump.began).astimezone(UTC)
    fact(
        f"LOST of {job.database}",
        f"what was written since {since:%Y-%m-%d %H:%M:%S} UTC; the old database is kept",
    )
    fact(f"age of {job.database}", readable_seconds(age), bound=False)
    if now is None:
        fact(f"{job.database} now", "is not there; it is made anew")
    else:
        told = f"{readable_bytes(now.size)}, {now.sessions} sessions, which are ended"
        fact(f"{job.database} now", told, bound=False)
        if now.slots:
            note(f"{now.slots} replication slots of {job.database} stay with the old database")
    if job.in_place():
        note(f"{job.database} is already {dump.name}, restored; again=true restores it once more")
    run = current()
    name = f"{job.database}-{dump.id}.{DUMP}"
    objects = [{"name": name, "size": dump.size, "sha256": dump.sha256}]
    run.record("backup", role="restored", id=dump.name, node=dump.node, objects=objects)
