"""Which backup a restore goes back to."""

from __future__ import annotations

from collections.abc import Sequence

from runbook.errors import CheckFailed, Refused
from runbook.manager.answers import ManagedBackup
from runbook.manager.api import ManagerApi
from runbook.manager.marks import RestoreMark

LATEST = "latest"
LATEST_DOWNLOADABLE = "latest-downloadable"
_WORDS = (LATEST, LATEST_DOWNLOADABLE)


def chosen(
    api: ManagerApi, under_way: RestoreMark | None, last: RestoreMark | None, wanted: str
) -> ManagedBackup:
    """Give the backup; one whose restore is under way without asking: the manager may be away.

    The backup that was restored last counts as done, whatever the manager says now: its own
    database went back to a moment at which that backup was still running.
    """
    if under_way is not None and under_way.is_open:
        return _going_on(under_way, wanted)
    listed = api.instance().in_order
    restored = last.backup if last is not None and last.finished else None
    done = _done(listed, restored)
    if wanted in _WORDS:
        fit = [one for one in done if one.is_downloadable or wanted == LATEST]
        return _last(fit, wanted, api)
    named = [one for one in (*done, *listed) if wanted in (str(one.id), one.backup_id)]
    if not named:
        raise CheckFailed(
            f"the Backup Manager knows no backup {wanted!r}",
            detail=f"done are: {_told(done)}",
            hint="Give the id, or the backup_id, or latest.",
        )
    if named[0] not in done:
        raise CheckFailed(
            f"the backup {named[0]} is {named[0].status}",
            detail=f"done are: {_told(done)}",
            hint="Only a backup that is done can be restored.",
        )
    return named[0]


def _going_on(mark: RestoreMark, wanted: str) -> ManagedBackup:
    backup = mark.backup
    if wanted in (*_WORDS, str(backup.id), backup.backup_id):
        return backup
    raise Refused(
        f"a restore of {backup} is under way, ordered by run {mark.run}",
        detail=f"it was ordered {mark.began:%Y-%m-%d %H:%M} UTC and was not seen to end",
        hint=f"Start the runbook again with backup={backup.backup_id}: it goes on waiting.",
    )


def _last(fit: Sequence[ManagedBackup], wanted: str, api: ManagerApi) -> ManagedBackup:
    if fit:
        return fit[-1]
    raise CheckFailed(
        f"the Backup Manager has no backup that is {wanted}",
        detail=f"asked with {api.asking}",
        hint="Start managed-backup, or use logical-recovery with the files in the store.",
    )


def _done(listed: Sequence[ManagedBackup], restored: ManagedBackup | None) -> list[ManagedBackup]:
    """Give what is done, oldest first, and what was restored last in place of its own entry."""
    named = {one.backup_id: one for one in listed if one.status == "done"}
    named |= {restored.backup_id: restored} if restored else {}
    return sorted(named.values(), key=lambda one: one.began)


def _told(done: Sequence[ManagedBackup]) -> str:
    return ", ".join(f"{one.id} = {one.backup_id}" for one in done[-10:]) or "none"
