"""Retention of an Orchestrator's backups: which may go. A pure function over all inputs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from runbook.orchestrator.backup import OrchestratorBackup


def expendable(
    backups: Sequence[OrchestratorBackup],
    *,
    keep: int,
    sound: Collection[str],
    coming: bool = False,
) -> tuple[OrchestratorBackup, ...]:
    """Give the backups that may be removed, oldest first.

    Always remain: the newest `keep` whose archive is there (`sound`), and what is newer than the
    oldest of these. A plan counts the backup that is still `coming` as one of them.
    """
    ordered = sorted(backups, key=lambda backup: (backup.finished, backup.id))
    room = max(1, keep) - coming
    whole = [backup for backup in ordered if backup.id in sound]
    if not room:
        return tuple(ordered)
    if not whole:
        return ()
    oldest = whole[-room:][0].finished
    return tuple(backup for backup in ordered if backup.finished < oldest)
