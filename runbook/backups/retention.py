"""Retention: which backups may go. A pure function, tested over all inputs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from runbook.backups.backup import Backup


def expendable(
    backups: Sequence[Backup],
    *,
    keep: int,
    keep_days: int,
    now: datetime,
    damaged: frozenset[str] = frozenset(),
    former: str = "",
) -> tuple[Backup, ...]:
    """Give the backups that may be removed, oldest first.

    Of each database system by itself always remain: the newest `keep` verified, self-contained
    ones (at least one, whatever is asked), whatever is newer than the oldest of these, and with
    `keep_days` everything that finished within that many days. `damaged` ones count for nothing;
    where no sound backup of a system is left, nothing of it may go. All of the system `former`
    may go, where another one has a sound backup that is newer.
    """
    young = now - timedelta(days=max(0, keep_days))
    going: list[Backup] = []
    for system in {backup.system_identifier for backup in backups}:
        own = [backup for backup in backups if backup.system_identifier == system]
        whole = [b for b in own if b.self_contained and b.id not in damaged]
        if system == former and is_succeeded(system, backups, damaged):
            going += own
        elif whole:
            going += [backup for backup in _behind(own, whole, keep) if backup.finished < young]
    return tuple(sorted(going, key=_age))


def is_succeeded(system: str, backups: Sequence[Backup], damaged: frozenset[str]) -> bool:
    """Tell whether another database system has a sound backup newer than all of this one's."""
    last = max((b.finished for b in backups if b.system_identifier == system), default=None)
    return last is not None and any(
        b.finished > last
        for b in backups
        if b.system_identifier != system and b.self_contained and b.id not in damaged
    )


def _behind(own: Sequence[Backup], whole: Sequence[Backup], keep: int) -> list[Backup]:
    """List what is older than the newest `keep` whole ones."""
    kept = sorted(whole, key=_age)[-max(1, keep) :]
    oldest = kept[0].finished
    names = {backup.id for backup in kept}
    return [backup for backup in own if backup.id not in names and backup.finished < oldest]


def _age(backup: Backup) -> tuple[datetime, str]:
    return backup.finished, backup.id
