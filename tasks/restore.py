"""Restores: which backup, into which places, beside the living data where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runbook import Need, check, ensure, fact, note
from runbook.actions import Work
from runbook.apps import App
from runbook.backups.backup import Backup
from runbook.backups.catalogue import Catalogue
from runbook.backups.evidence import on_record
from runbook.backups.reading import stored_backup
from runbook.cluster import Cluster
from runbook.errors import Refused, SettingsError
from runbook.postgres import Node
from runbook.restore.job import Restore
from runbook.restore.ready import MakingReady
from runbook.restore.remains import Remains
from runbook.restore.reserve import Reserve
from runbook.restore.survey import Survey, survey
from runbook.run import current
from runbook.units import readable_bytes
from tasks import archiving, fitness, interrupted
from tasks._task import task

# A supervisor that revives a server takes a moment to do it; a held service needs no watching.
_REVIVAL_SECONDS = 2.0
_STOPPED = "Make room; or stop the server by hand, for which part of it is kept free while it runs"


@dataclass(frozen=True)
class Wishes:
    """What the person who restores may choose.

    `whole_cluster`: all nodes go back, so that this one may be a standby now.
    """

    timeline: str = "fork"
    tablespace_map: str = ""
    other_system: bool = False
    remove_old: bool = False
    again: bool = False
    whole_cluster: bool = False


@task("choose the backup {wanted}")
def choose(catalogue: Catalogue, cluster: Cluster, wanted: str, wishes: Wishes) -> Backup:
    """Find the backup and insist that it is the cluster's and can be restored by itself."""
    chosen = catalogue.choose(wanted, cluster.name)
    found = next(found for found in catalogue.found() if found.id == chosen.id)
    fact("backup", f"{chosen.id} of {chosen.node}, {chosen.finished:%Y-%m-%d %H:%M:%S} UTC")
    fact("size", f"{readable_bytes(chosen.data_size)}, stored {readable_bytes(chosen.stored_size)}")
    if wishes.other_system and chosen.cluster != cluster.name:
        fact("ANOTHER CLUSTER'S", f"{chosen.id} is a backup of {chosen.cluster}")
    check(
        f"{chosen.id} is a backup of {cluster}",
        lambda: wishes.other_system or chosen.cluster == cluster.name,
        seen=lambda: f"its record says that it is of {chosen.cluster}",
        hint=f"Do both use this folder? Choose one of {cluster}; `pg-runbooks backups` lists them. "
        f"If {cluster} was once named {chosen.cluster}, or shall get its data: start again with "
        "other_system=true.",
    )
    check(
        f"{chosen.id} was found sound when it was last verified",
        lambda: not found.damaged,
        hint="Choose another backup; `pg-runbooks backups` shows which are sound.",
    )
    check(
        f"{chosen.id} holds all the WAL that it needs",
        lambda: chosen.self_contained,
        hint="Choose a backup that was taken with its WAL.",
    )
    if wanted == "latest":
        _tell_passed_over(catalogue, chosen)
    on_record(current(), chosen, "restored")
    return chosen


@task("check that the backup fits {node}")
def fits(node: Node, backup: Backup, catalogue: Catalogue, wishes: Wishes) -> Restore:
    """Look at the places and insist on everything that can be known before the first change."""
    if wishes.timeline not in ("fork", "keep"):
        raise SettingsError(f"timeline is fork or keep, not {wishes.timeline!r}")
    seen = survey(node, backup, catalogue, wishes.tablespace_map, again=wishes.again)
    fork, knows = wishes.timeline == "fork", seen.system_identifier == backup.system_identifier
    making_ready = MakingReady(
        node=node,
        backup=backup,
        catalogue=catalogue,
        targets=seen.targets,
        fork=fork,
        same_system=seen.system_identifier in ("", backup.system_identifier),
        archiving=fork and knows and not seen.archiving_off,
        reserve=Reserve(node, {}) if seen.short_of else seen.reserve,
        replicating=wishes.whole_cluster,
    )
    fitness.directory(node, seen)
    fitness.server(node, seen, standby=wishes.whole_cluster)
    fitness.version(node, backup, seen)
    fitness.system(node, backup, seen, other_system=wishes.other_system)
    job = Restore(
        node=node,
        backup=backup,
        targets=seen.targets,
        making_ready=making_ready,
        beside=not seen.short_of,
        again=wishes.again,
    )
    interrupted.none_in_the_way(job, seen)
    fitness.tablespaces(node, seen)  # while another backup is half in place, no data links there
    if wishes.again:
        interrupted.none_waits_for_its_end(job)
    if seen.running is not None and not job.in_place():
        archiving.none_by_command_line(job)
    _tell(job, seen, wishes)
    return job


@task("make the backup ready and verify it")
def make_ready(job: Restore) -> None:
    """Verify the backup before anything is stopped: beside the living data, or in the store."""
    if job.beside:
        with job.making_ready.whole_or_gone(outage=bool(job.clock.started_by())):
            ensure(
                f"{job.backup.id} stands verified beside the living data",
                holds=job.ready,
                by=job.making_ready.actions,
            )
        if not job.in_place() and not job.clock.started_by():
            current().if_refused.append(job.given_back())
        return
    catalogue = job.making_ready.catalogue
    line = f"read every byte of {job.backup.id} against its manifest"
    work = Work(str(catalogue), line, lambda: _verified_in_store(job), changes=False)
    ensure(
        f"{job.backup.id} is verified in the store by this run",
        holds=lambda: job.ready() or "verified in store" in current().memory,
        by=[work],
    )


@task("write down when the outage begins")
def begin_outage(job: Restore, apps: Sequence[App]) -> None:
    """Keep the moment of the first stop on the node, where it outlives this run."""
    ensure(
        "the moment of the first stop is written down",
        holds=lambda: job.in_place() or _is_written_down(job, apps),
        by=[job.clock.start(current().id)],
    )


@task("put the backup in the place of the data directory")
def put_in_place(job: Restore) -> None:
    """Swap the directories by renaming; where there was no room, remove, stream and swap."""
    nobody_works = Need(
        f"no server runs on {job.live}",
        lambda: _stays_stopped(job.node),
        seen=lambda: "a server is at work there; applications and data are as step 5 left them",
        hint="Something starts it again: a supervisor that the settings do not name? "
        "Stop that, or name it as the node's service, and start the runbook again.",
    )
    if not job.beside:
        ensure(
            "the old data is removed, because there is no room for both",
            holds=job.ready,
            needs=[nobody_works],
            by=lambda: job.making_ready.actions(remove_old=True),
        )
    ensure(
        f"{job.live} is {job.backup.id}, restored",
        holds=job.in_place,
        needs=[Need(f"{job.backup.id} is ready and verified", job.ready), nobody_works],
        by=job.put_in_place,
    )


@task("take the recovery's settings away on {job.node}")
def finish(job: Restore) -> None:
    """Give the server the settings back that it had in the backup."""
    ensure(
        "the settings of the recovery are gone",
        holds=job.finished,
        by=job.finish,
    )
    archiving.none_by_command_line(job)


@task("close the restore of {job.backup.id}")
def close(job: Restore) -> None:
    """Write down that the cluster is in service again; nothing that was not used stays behind."""
    remains = Remains(job)
    if not current().planning:
        archiving.tell(job)
    ensure(
        "nothing is left that was made ready and not used",
        holds=lambda: not remains.are_left(),
        by=remains.cleared,
    )
    ensure("the restore has come to its end", holds=job.closed, by=job.close)


def _tell_passed_over(catalogue: Catalogue, chosen: Backup) -> None:
    """Name what is newer than the newest sound backup: what was written since then is lost."""
    newer = [
        f"{record.id}, {record.finished:%Y-%m-%d %H:%M:%S} UTC, is {found.unsound(record)}"
        for found, record in catalogue.records()
        if isinstance(record, Backup)
        and record.cluster == chosen.cluster
        and record.finished > chosen.finished
    ]
    if newer:
        fact("PASSED OVER", "; ".join(newer))


def _tell(job: Restore, seen: Survey, wishes: Wishes) -> None:
    fact("node", f"{job.node} on {job.node.host} ({job.node.host.way})")
    fact("data directory", job.live)
    fact("free space there", _free(job, seen), bound=False)
    for oid, place in seen.targets.tablespaces.items():
        fact(f"tablespace {oid}", place.live)
    if seen.targets.wal:
        fact("pg_wal", f"a link to {seen.targets.wal.live}; it stays one, and the WAL goes there")
    if job.in_place():
        note(f"{job.live} is already {job.backup.id}, restored; again=true restores it once more")
    fact("old data", _fate(job, seen, wishes))
    if job.making_ready.fork:
        fact("timeline", f"a new one (the backup's is {job.backup.timeline})")
    else:
        fact("timeline", f"the old one goes on ({job.backup.timeline})")
    archiving.foresee(job)


def _free(job: Restore, seen: Survey) -> str:
    """Tell what is free, and who needs it while people think."""
    free = readable_bytes(seen.data.free)
    if seen.running is None or job.in_place() or not job.beside:
        return free
    if not seen.begun:
        return f"{free}; kept free for the server while the copy is made: {seen.reserve}"
    held = readable_bytes(seen.data.staged)
    return f"{free}, ALL THAT THE SERVER HAS until the outage: the copy holds {held}"


def _fate(job: Restore, seen: Survey, wishes: Wishes) -> str:
    if not seen.begun and not seen.data.version:
        return "none: the data directory is empty or missing"
    if job.beside:
        way = "renamed and kept" if seen.targets.data.whole else "moved aside inside the directory"
        return f"{way} until discard-aside removes it; undo puts it back"
    if not wishes.remove_old:
        raise Refused(
            "there is no room beside the living data, so the old data would have to be removed",
            detail=seen.short_of,
            hint=(_STOPPED if seen.short_for_it and not wishes.whole_cluster else "Make room")
            + ", or start again with remove_old=true: then there is no way back.",
        )
    return "REMOVED for good: there is no room for both, and no way back"


def _verified_in_store(job: Restore) -> str:
    run = current()
    title = f"verification of {job.backup.id}"
    stored_backup(job.making_ready.catalogue, job.backup).verify(
        lambda done, total: run.progress(title, done, total)
    )
    run.memory["verified in store"] = True
    return f"{job.backup.id} is sound"


def _is_written_down(job: Restore, apps: Sequence[App]) -> bool:
    """Tell whether this run stopped something, or an earlier one whose stop still lasts."""
    by = job.clock.started_by()
    if by in ("", current().id):
        return bool(by)
    return not (job.node.accepts_writes() and all(app.is_running() for app in apps))


def _stays_stopped(node: Node) -> bool:
    held = node.service.held(node)
    is_held = held is not None and node.host.attempt(held).exit_code == 0
    return node.stays_stopped(0.0 if is_held else _REVIVAL_SECONDS)
