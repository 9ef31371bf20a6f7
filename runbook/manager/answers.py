"""What the Backup Manager answers: instances, their backups and restores."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
)

from runbook.manager.web import NotUnderstood
from runbook.units import readable_bytes

Status = Literal["queued", "running", "done", "failed", "deleted"]

_UNDER_WAY = ("queued", "running")


class _Answer(BaseModel):
    """Part of an answer; what the page does not name is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class AgentTask(_Answer):
    """The work of the backup agent on a backup or a restore."""

    status: Status
    created_at: AwareDatetime
    updated_at: AwareDatetime
    msg: JsonValue = None


class ManagedBackup(_Answer):
    """A backup as the manager lists it. `size` is in bytes, None until it is known.

    `backup_id` names it in the store; `id` is the manager's own number, given again after a
    restore of the manager's database.
    """

    id: int
    backup_id: str
    instance_id: int
    size: int | None = None
    is_downloadable: bool = False
    task: AgentTask = Field(alias="backup_agent_task")

    def __str__(self) -> str:
        size = readable_bytes(self.size) if self.size is not None else "size unknown"
        return f"{self.backup_id} (id {self.id}, {self.began:%Y-%m-%d %H:%M} UTC, {size})"

    @property
    def status(self) -> Status:
        """Give the state of its task."""
        return self.task.status

    @property
    def began(self) -> datetime:
        """Give when it was ordered: what was written later may be missing in it."""
        return self.task.created_at

    @property
    def is_under_way(self) -> bool:
        """Tell whether it is queued or running."""
        return self.status in _UNDER_WAY


class ManagedRestore(_Answer):
    """A restore as the manager lists it, where it can keep one."""

    id: int
    task: AgentTask | None = Field(default=None, alias="backup_agent_task")


class ManagedInstance(_Answer):
    """An instance with its backups, oldest first."""

    id: int
    guid: str = Field(alias="instance_id")
    created_at: AwareDatetime | None = None
    backups: tuple[ManagedBackup, ...] = ()
    restores: tuple[ManagedRestore, ...] = ()

    @field_validator("backups", mode="before")
    @classmethod
    def _with_task(cls, backups: object) -> object:
        """Leave out what has no task yet: it is about to be queued."""
        if not isinstance(backups, list):
            return backups
        return [one for one in backups if not _is_without_task(one)]

    @property
    def in_order(self) -> tuple[ManagedBackup, ...]:
        """Give the backups, oldest first."""
        return tuple(sorted(self.backups, key=lambda backup: (backup.began, backup.id)))

    @property
    def newest_id(self) -> int:
        """Give the greatest number of a backup; 0 where there is none."""
        return max((backup.id for backup in self.backups), default=0)


class RestoreOrdered(_Answer):
    """The answer to the order of a restore."""

    restore_id: int


def _is_without_task(backup: object) -> bool:
    return isinstance(backup, dict) and backup.get("backup_agent_task", 0) is None


A = TypeVar("A", bound=_Answer)


def parsed(kind: type[A], tree: object, service: str) -> A:
    """Read a part of an answer; NotUnderstood names the places that are not as expected."""
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        places = (
            f"{'.'.join(map(str, item['loc'])) or 'the whole'}: {item['msg']}"
            for item in error.errors()[:5]
        )
        raise NotUnderstood(
            f"{service} answered JSON that its page does not know",
            detail="; ".join(places),
            hint="Is it another version of the service? Nothing was ordered because of it.",
        ) from error
