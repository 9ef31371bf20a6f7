"""Backups that the Backup Manager makes: ordered, waited for, judged."""

from __future__ import annotations

from runbook import check, ensure, fact, note
from runbook.cluster import Cluster
from runbook.manager.answers import ManagedBackup, ManagedInstance
from runbook.manager.api import ManagerApi, manager_of
from runbook.manager.backup_order import BackupOrder, backup_order, too_small
from runbook.run import current
from runbook.units import readable_bytes
from tasks._task import task
from tasks.examination import listed

_SHOWN = 5


@task("ask the Backup Manager about {cluster}")
def ask(cluster: Cluster) -> BackupOrder:
    """See what the manager knows of the instance, before it is told to do anything."""
    api = manager_of(cluster)
    told_in_clear(api)
    describe(api.instance())
    return backup_order(cluster, current().id)


@task("order a backup")
def order(wanted: BackupOrder) -> None:
    """Order a backup, unless one that an interrupted run has ordered is under way."""
    outcome = ensure(
        "the Backup Manager has a backup of this run",
        holds=wanted.is_known,
        by=lambda: [wanted.order()],
        within=wanted.api.settings.settle,
    )
    if outcome == "already so":
        note(f"an interrupted run had ordered it: {wanted.seen().backup_id}; not ordered again")


@task("wait for the backup")
def wait(wanted: BackupOrder) -> None:
    """Wait until the manager says that it is done."""
    ensure("the backup is done", holds=wanted.is_done, by=lambda: [wanted.wait()])


@task("judge the backup")
def judge(wanted: BackupOrder) -> None:
    """Insist that its size can be right, and put it on record."""
    smallest = wanted.api.settings.smallest
    text = f"its size is at least {smallest:.0%} of the largest of the seven before it"
    if current().planning:
        listed(text)
        return
    made, measure = wanted.seen(), wanted.measure()
    on_record(made, "taken")
    wanted.forget()
    trouble = too_small(made, measure, smallest)
    check(
        text,
        lambda: not trouble,
        seen=lambda: trouble,
        hint="See the agent's log: part of the backup may be missing. Was data removed? Then set "
        "manager.smallest lower until seven backups have the new size.",
    )
    if not made.is_downloadable:
        note("the manager says that it cannot be downloaded; it can be restored by the manager")
    largest = readable_bytes(measure.size or 0) if measure else "none"
    note(f"{made}; the largest of the seven before it: {largest}")


def describe(instance: ManagedInstance) -> None:
    """Tell the newest backups of an instance."""
    newest = instance.in_order[-_SHOWN:]
    told = "; ".join(f"{one}: {one.status}" for one in reversed(newest))
    fact("backups that the manager knows", told or "none", bound=False)


def told_in_clear(api: ManagerApi) -> None:
    """Warn of a password that travels as everybody can read it."""
    if api.settings.url.startswith("http://"):
        note(f"{api.settings.url} is not HTTPS: the password travels in clear")


def on_record(backup: ManagedBackup, role: str) -> None:
    """Write down which backup it was."""
    current().record(
        "backup",
        role=role,
        id=backup.backup_id,
        size=backup.size or 0,
        stored=backup.size or 0,
        seconds=round((backup.task.updated_at - backup.began).total_seconds(), 3),
        finished=backup.task.updated_at.isoformat(timespec="seconds"),
    )
