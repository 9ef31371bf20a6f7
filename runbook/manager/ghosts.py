"""What the restored state cannot know: backups and instances that are newer than the backup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from runbook.manager.answers import ManagedBackup, ManagedInstance

_ADOPT = "Its files stay in the store: logical-recovery finds it there by its backup_id."
_LOOK = "Compare with the deployments of the director (bosh deployments), then delete or re-create."


class Ghost(BaseModel):
    """Something that exists and that the restored state knows nothing of."""

    model_config = ConfigDict(frozen=True)
    what: str
    name: str
    since: datetime
    hint: str


class Ghosts(BaseModel):
    """All ghosts of a restore; `is_whole` is False where the manager lists no instances."""

    model_config = ConfigDict(frozen=True)
    found: tuple[Ghost, ...] = ()
    is_whole: bool = True

    def __str__(self) -> str:
        kinds = {kind: sum(one.what == kind for one in self.found) for kind in _KINDS}
        counted = ", ".join(
            f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in kinds.items() if count
        )
        unknown = "" if self.is_whole else "; instances are not listed by the manager"
        return f"{counted or 'nothing that is known'}{unknown}"

    def table(self) -> str:
        """Write them as a Markdown table."""
        rows = [
            f"| {one.what} | {one.name} | {one.since:%Y-%m-%d %H:%M:%S} UTC | {one.hint} |"
            for one in self.found
        ]
        head = ["| what | name | since | what to do |", "|---|---|---|---|"]
        return "\n".join([*head, *rows]) if rows else "Nothing that is known."


_KINDS = ("backup", "instance")


def ghosts(
    chosen: ManagedBackup, own: ManagedInstance, others: Iterable[ManagedInstance] | None
) -> Ghosts:
    """Find what is newer than a backup; an instance counts by its birth or its first backup."""
    every: list[ManagedInstance] = [own]
    every += [each for each in others or () if each.guid != own.guid]
    backups = [
        Ghost(what="backup", name=one.backup_id, since=one.began, hint=_ADOPT)
        for instance in every
        for one in instance.in_order
        if one.began > chosen.began and one.status != "deleted"
    ]
    instances = [
        Ghost(what="instance", name=each.guid, since=born, hint=_LOOK)
        for each in every[1:]
        if (born := _born(each)) is not None and born > chosen.began
    ]
    return Ghosts(found=_by_age(instances) + _by_age(backups), is_whole=others is not None)


def _born(instance: ManagedInstance) -> datetime | None:
    if instance.created_at is not None:
        return instance.created_at
    return instance.in_order[0].began if instance.backups else None


def _by_age(found: Sequence[Ghost]) -> tuple[Ghost, ...]:
    return tuple(sorted(found, key=lambda one: one.since))
