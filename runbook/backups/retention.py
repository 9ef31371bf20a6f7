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
) -> tuple[Backup, ...]:
    """Give the backups that may be removed, oldest first.

    Always remain: the newest `keep` verified, self-contained ones (at least one, whatever is
    asked), whatever is newer than the oldest of these, and with `keep_days` everything that
    finished within that many days. `damaged` ones count for nothing; where no sound backup is
    left, nothing may go.
    """
    ordered = sorted(backups, key=lambda backup: (backup.finished, backup.id))
    whole = [b for b in ordered if b.self_contained and b.id not in damaged]
    kept = {backup.id for backup in whole[-max(1, keep) :]}
    if not whole:
        return ()
    oldest_kept = min(backup.finished for backup in whole if backup.id in kept)
    young = now - timedelta(days=max(0, keep_days))
    return tuple(
        backup
        for backup in ordered
        if backup.id not in kept and backup.finished < oldest_kept and (backup.finished < young)
    )
