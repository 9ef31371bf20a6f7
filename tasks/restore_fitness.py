"""Before a restore: which backup, into which places, and whether it fits there."""

from __future__ import annotations

from dataclasses import dataclass

from runbook import check, fact
from runbook.backups.backup import Backup
from runbook.backups.catalogue import Catalogue
from runbook.backups.evidence import on_record
from runbook.cluster import Cluster
from runbook.errors import Refused, SettingsError
from runbook.plan import NOTHING_RESTORED, Fact
from runbook.postgres import Node
from runbook.restore.job import Restore
from runbook.restore.ready import MakingReady
from runbook.restore.reserve import Reserve
from runbook.restore.survey import Survey, survey
from runbook.run import current
from runbook.units import readable_bytes
from tasks import archiving, fitness, interrupted
from tasks._task import task

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
    _is_of_the_cluster(chosen, cluster, wishes)
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
    making_ready = _making_ready(node, backup, catalogue, wishes, seen)
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
    if not wishes.whole_cluster:
        tell_settled(job)
    interrupted.none_in_the_way(job, seen)
    fitness.tablespaces(node, seen)  # while another backup is half in place, no data links there
    if wishes.again:
        interrupted.none_waits_for_its_end(job)
    if seen.running is not None and not job.in_place():
        archiving.none_by_command_line(job)
    _tell(job, seen, wishes)
    return job


def _is_of_the_cluster(chosen: Backup, cluster: Cluster, wishes: Wishes) -> None:
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


def _making_ready(
    node: Node, backup: Backup, catalogue: Catalogue, wishes: Wishes, seen: Survey
) -> MakingReady:
    fork, knows = wishes.timeline == "fork", seen.system_identifier == backup.system_identifier
    return MakingReady(
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


def _tell(job: Restore, seen: Survey, wishes: Wishes) -> None:
    fact("node", f"{job.node} on {job.node.host} ({job.node.host.way})")
    fact("data directory", job.live)
    fact("free space there", _free(job, seen), bound=False)
    for oid, place in seen.targets.tablespaces.items():
        fact(f"tablespace {oid}", place.live)
    if seen.targets.wal:
        fact("pg_wal", f"a link to {seen.targets.wal.live}; it stays one, and the WAL goes there")
    fact("old data", _fate(job, seen, wishes))
    if job.making_ready.fork:
        fact("timeline", f"a new one (the backup's is {job.backup.timeline})")
    else:
        fact("timeline", f"the old one goes on ({job.backup.timeline})")
    archiving.foresee(job)


def tell_settled(job: Restore) -> None:
    """Say before all else that nothing is done: whoever has lost data once more must see it."""
    since = job.settled()
    if since is not None:
        told = (
            f"{job.live} has been {job.backup.id} since {since:%Y-%m-%d %H:%M:%S} UTC; what was "
            "written or lost since stays. To go back once more: again (--again at the command line)"
        )
        current().builder.lead(Fact(name=NOTHING_RESTORED, value=told))


def _free(job: Restore, seen: Survey) -> str:
    """Tell what is free, and who needs it while people think."""
    free = readable_bytes(seen.data.free)
    if not seen.reserve.kept or job.in_place() or not job.beside:
        return free
    if not seen.begun:
        return f"{free}; kept free for the server while the copy is made: {seen.reserve}"
    taken = f"after the copy took {readable_bytes(seen.data.staged)}"
    if seen.data.free < seen.reserve.kept.get(seen.data.stands, 0):
        return f"{free}, {taken}: ALL THAT THE SERVER HAS until the outage"
    return f"{free}, {taken}; nobody watches it while this waits"


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
