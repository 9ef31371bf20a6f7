"""Retention: removing whole backups, never the newest sound ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from runbook import check, ensure, fact, note
from runbook.actions import Work
from runbook.backups import retention
from runbook.backups.backup import Backup
from runbook.backups.catalogue import Catalogue
from runbook.cluster import Cluster
from runbook.errors import CommandFailed, Damaged, Unreachable
from runbook.restore.remains import needed_backups
from runbook.units import readable_bytes
from tasks._task import task


@task("find the backups that the rule no longer keeps")
def expendable(
    catalogue: Catalogue, cluster: Cluster, keep: int, keep_days: int, former_system: str = ""
) -> tuple[Backup, ...]:
    """Give the backups that may go, by the asked rule or the settings'; all of a former system."""
    keep, keep_days = keep or cluster.backups.keep, keep_days or cluster.backups.keep_days
    backups, damaged = _records(catalogue, cluster)
    if former_system:
        _is_former(former_system, backups, damaged)
    going = retention.expendable(
        backups,
        keep=keep,
        keep_days=keep_days,
        now=datetime.now(UTC),
        damaged=damaged,
        former=former_system,
    )
    going = _not_needed(cluster, going)
    _tell_systems(backups, former_system)
    fact("rule", f"keep the newest {keep}" + (f" and {keep_days} days" if keep_days else ""))
    fact("backups", f"{len(backups)}, of which {len(going)} may go")
    for rule in catalogue.store.lifecycle_rules(catalogue.prefix):
        check(
            "no rule of the store itself removes backups",
            lambda: False,
            seen=partial(str, rule),
            hint="Let one of the two prune: take the rule off this prefix, or do not run prune.",
        )
    if not going:
        note("nothing may go")
    return going


@task("remove {backup.id}")
def remove(catalogue: Catalogue, backup: Backup) -> None:
    """Remove one backup, its record first, so that no half of it looks whole."""
    ensure(
        f"{backup.id} is gone",
        holds=lambda: backup.id not in {found.id for found in catalogue.found()},
        by=[
            Work(
                str(catalogue),
                f"remove {backup.id}/ with its {readable_bytes(backup.stored_size)}",
                lambda: _removed(catalogue, backup.id),
            )
        ],
    )


@task("check that the newest backups remain")
def remain(catalogue: Catalogue, cluster: Cluster, keep: int) -> None:
    """Insist that the sound backups that the rule promises are still there."""
    own = [
        (item, record)
        for item, record in catalogue.records()
        if isinstance(record, Backup) and record.cluster == cluster.name
    ]
    found = [item.id for item, record in own if not item.damaged and not item.lacks(record)]
    note(f"{len(found)} sound backups remain: {', '.join(found[-3:])}")
    asked = keep or cluster.backups.keep
    check(
        "at least one sound backup remains wherever there was one",
        lambda: bool(found) or not own,
        hint=f"The rule was to keep {asked}. Take a backup now.",
    )


def _not_needed(cluster: Cluster, going: Sequence[Backup]) -> tuple[Backup, ...]:
    """Take out what a restore still needs that has not come to its end."""
    for node in cluster.nodes if going else ():
        try:
            needed = needed_backups(node.located())
        except (Unreachable, CommandFailed, Damaged) as error:
            note(f"whether a restore on {node} needs one of them is not known: {error.message}")
            continue
        for backup in going:
            if backup.id in needed:
                note(
                    f"{backup.id} stays: its restore on {node} has not come to its end; start that "
                    "again, with the same options"
                )
        going = [backup for backup in going if backup.id not in needed]
    return tuple(going)


def _is_former(system: str, backups: Sequence[Backup], damaged: frozenset[str]) -> None:
    check(
        f"database system {system} has been replaced by another one",
        lambda: retention.is_succeeded(system, backups, damaged),
        seen=lambda: (
            "of the systems with backups here, none has a newer sound backup: "
            + (", ".join(sorted({b.system_identifier for b in backups})) or "there are none")
        ),
        hint="Leave former_system empty; or take a backup of the system that goes on, first.",
    )


def _tell_systems(backups: Sequence[Backup], former_system: str) -> None:
    """Tell where the folder holds backups of several database systems."""
    last: dict[str, Backup] = {}
    for backup in sorted(backups, key=lambda backup: backup.finished):
        last[backup.system_identifier] = backup
    if len(last) < 2:
        return
    for system, backup in last.items():
        fate = "ALL OF ITS BACKUPS GO" if system == former_system else "the rule holds for it alone"
        fact(f"database system {system}", f"last backup {backup.id}; {fate}")


def _records(catalogue: Catalogue, cluster: Cluster) -> tuple[list[Backup], frozenset[str]]:
    """Read the cluster's records, and name what counts for nothing; what cannot be read stays."""
    backups, damaged = [], set()
    for found, record in catalogue.records():
        if isinstance(record, Damaged):
            note(f"stays, because its record cannot be read: {record.message}")
        elif record.cluster == cluster.name:
            backups.append(record)
            if found.damaged or found.lacks(record):
                damaged.add(found.id)
                note(f"{found.id} counts for nothing: it is {found.unsound(record)}")
    return backups, frozenset(damaged)


def _removed(catalogue: Catalogue, backup_id: str) -> str:
    for found in catalogue.found():
        if found.id == backup_id:
            catalogue.remove(found)
    return f"removed {backup_id}"
