"""What this worker has ordered at the Backup Manager: it outlives the run that ordered it.

The manager cannot tell: it does not say who ordered a backup, and it forgets its restores.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import ClassVar, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from runbook.errors import Damaged
from runbook.manager.answers import ManagedBackup
from runbook.manager.ghosts import Ghosts
from runbook.places import state_directory
from runbook.whole_file import write_whole

_FOLDER = "manager"


class _Mark(BaseModel):
    """A file in the state directory, one of its kind for each cluster."""

    model_config = ConfigDict(frozen=True)
    kind: ClassVar[str]
    run: str

    @classmethod
    def read(cls, cluster: str) -> Self | None:
        """Give the mark of a cluster; None where there is none."""
        path = cls._path(cluster)
        try:
            return cls.model_validate_json(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise Damaged(
                f"{path} cannot be used",
                detail=str(error),
                hint="It tells what was ordered. Look at the manager, then move the file away.",
            ) from error

    def write(self, cluster: str) -> None:
        """Write the mark, whole or not at all, and to the disk."""
        path = self._path(cluster)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, self.model_dump_json())

    @classmethod
    def remove(cls, cluster: str) -> None:
        """Remove the mark of a cluster; harmless when there is none."""
        cls._path(cluster).unlink(missing_ok=True)

    @classmethod
    def _path(cls, cluster: str) -> Path:
        return state_directory() / _FOLDER / f"{cluster}.{cls.kind}.json"


class BackupMark(_Mark):
    """A backup that was ordered and not yet seen to be done: what has a greater id is it."""

    kind: ClassVar[str] = "backup"
    before: int


class LogPosition(BaseModel):
    """Where a log ended at a moment: what stands behind it came later, by nobody's clock."""

    model_config = ConfigDict(frozen=True)
    node: str
    inode: int
    size: int

    def continues(self, earlier: LogPosition) -> bool:
        """Tell whether it is a later position of the same file, which was not cut off since."""
        return self.inode == earlier.inode and self.size >= earlier.size


class RestoreMark(_Mark):
    """The restore that was ordered last.

    `accepted` tells that the manager said so; `restore_id` is its number. `finished` is set when
    the cluster was well again, `failed` tells why the restore itself came to nothing. `log` is
    where the agent's log ended when it was ordered, and once it is finished, when it was; of a log
    that was replaced meanwhile, its beginning. `begun`: what comes there is about this restore;
    `succeeded`: it has told that already.
    """

    kind: ClassVar[str] = "restore"
    backup: ManagedBackup
    began: AwareDatetime
    log: LogPosition
    ghosts: Ghosts
    accepted: bool = False
    begun: bool = False
    succeeded: bool = False
    restore_id: int | None = None
    finished: datetime | None = None
    failed: str = ""

    @property
    def is_open(self) -> bool:
        """Tell whether this restore may still be under way."""
        return self.finished is None and not self.failed


class KeyMark(_Mark):
    """The encryption key that the a9s API was given last, by its fingerprint."""

    kind: ClassVar[str] = "key"
    url: str
    fingerprint: str
    given: AwareDatetime
