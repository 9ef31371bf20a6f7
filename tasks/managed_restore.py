"""Restores that the Backup Manager makes: chosen, ordered, followed in the node's log."""

from __future__ import annotations

from datetime import UTC, datetime

from runbook import check, ensure, fact, note
from runbook.cluster import Cluster
from runbook.manager.answers import ManagedInstance
from runbook.manager.api import manager_of
from runbook.manager.choice import chosen
from runbook.manager.ghosts import Ghosts, ghosts
from runbook.manager.marks import RestoreMark
from runbook.manager.restore_order import RestoreOrder, restore_order, usable_mark
from runbook.objectives import RECOVERY_POINT, RECOVERY_TIME, Figure, Objectives
from runbook.run import current
from runbook.units import readable_seconds
from tasks._task import task
from tasks.managed_backup import describe, on_record, told_in_clear


@task("choose the backup of {cluster}")
def choose(cluster: Cluster, wanted: str, again: bool) -> RestoreOrder:
    """Choose the backup; while a restore is under way, nobody but the mark is asked."""
    api = manager_of(cluster)
    told_in_clear(api)
    going_on, last = usable_mark(cluster, again=again), RestoreMark.read(cluster.name)
    backup = chosen(api, going_on, last, wanted)
    job = restore_order(cluster, api, backup, again=again, run_id=current().id)
    fact("backup", backup)
    fact("it can be downloaded, too", "yes" if backup.is_downloadable else "no")
    fact("instance in the Backup Manager", f"{api.settings.instance} (id {backup.instance_id})")
    if job.mark is None:
        known = api.instance()
        describe(known)
        _insist_on_peace(job, known)
    else:
        note(f"ordered {job.mark.began:%Y-%m-%d %H:%M:%S} UTC by run {job.mark.run}")
    if job.is_hidden:
        note(
            "the agent's log was replaced since that restore ended: a restore by somebody else "
            "meanwhile may not stand there; again=true restores once more"
        )
    position = job.log.position()
    note(f"the agent's log on {job.log.host} can be read: {job.log.path}, {position.size} bytes")
    on_record(backup, "restored")
    return job


@task("see what the restored state cannot know")
def foresee(job: RestoreOrder, objectives: Objectives) -> None:
    """Measure the loss: data by the age of the backup, knowledge by what is newer than it."""
    age = (datetime.now(UTC) - job.backup.began).total_seconds()
    fact("age of the data", objectives.judged(RECOVERY_POINT, age), bound=False)
    if job.mark is None:
        job.ghosts = ghosts(job.backup, job.api.instance(), job.api.instances())
    fact("the restored state will not know", told(job.ghosts))


@task("order the restore")
def order(job: RestoreOrder) -> None:
    """Order the restore, unless it was ordered already."""
    ensure(
        f"the restore of {job.backup.backup_id} is what was ordered last",
        holds=job.is_ordered,
        by=lambda: [job.order()],
    )


@task("wait until the restore has ended")
def wait(job: RestoreOrder) -> None:
    """Follow the agent's log while the manager is away, until it is back."""
    ensure(
        "the agent has succeeded and the Backup Manager answers",
        holds=job.is_over,
        by=lambda: [job.wait()],
    )


@task("tell what the restored state does not know")
def close(job: RestoreOrder, objectives: Objectives) -> None:
    """Show the ghosts on the result's page, and write down that the restore is in place."""
    run = current()
    if run.planning:
        return
    if job.lasted is not None:
        age = (datetime.now(UTC) - job.backup.began).total_seconds()
        _measured(objectives.judged(RECOVERY_POINT, age), "recovery point (RPO): the data's age")
        _measured(
            objectives.judged(RECOVERY_TIME, job.lasted), "recovery time (RTO): from order on"
        )
    for ghost in job.ghosts.found:
        note(f"not known any more: {ghost.what} {ghost.name}, since {ghost.since:%F %T} UTC")
    run.record("ghosts", told=told(job.ghosts))
    run.watcher.finished("What the restored state does not know", job.ghosts.table())
    job.close()


def told(found: Ghosts) -> str:
    """Name the ghosts in one line."""
    names = ", ".join(one.name for one in found.found)
    return f"{found}: {names}" if names else str(found)


def _measured(figure: Figure, text: str) -> None:
    """Tell a figure and keep it for the end of the record."""
    current().memory.update(figure.remembered)
    judgement = f" ({figure.judgement})" if figure.verdict else ""
    note(f"{text}: {readable_seconds(figure.seconds)}{judgement}")


def _insist_on_peace(job: RestoreOrder, known: ManagedInstance) -> None:
    """Refuse while the manager is at work on the instance: two at once spoil both."""
    since = datetime.now(UTC) - job.api.settings.backup_within
    busy = [
        str(one)
        for one in known.in_order
        if one.is_under_way
        and one.task.updated_at > since
        and one.backup_id != job.backup.backup_id
    ]
    busy += [
        f"restore {one.id}"
        for one in known.restores
        if one.task and one.task.status in ("queued", "running")
    ]
    check(
        "the Backup Manager is not at work on the instance",
        lambda: not busy,
        seen=lambda: ", ".join(busy),
        hint="Wait until it has ended, then start again.",
    )
