"""A backup that the Backup Manager is to make: ordered once, found again, waited for, judged."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from runbook.actions import Action, Work
from runbook.cluster import Cluster
from runbook.errors import CheckFailed, CommandFailed, GoalNotReached, RunbookError
from runbook.manager.answers import ManagedBackup, ManagedInstance
from runbook.manager.api import NAME, ManagerApi, manager_of
from runbook.manager.marks import BackupMark
from runbook.manager.web import Unclear
from runbook.run import current
from runbook.units import readable_bytes, readable_seconds

_MEASURED = 7


@dataclass
class BackupOrder:
    """The backup of this run: new, or one that a run which was killed had ordered.

    Everything that the manager has begun since the order is as good as ours: it is newer.
    """

    cluster: Cluster
    api: ManagerApi
    run_id: str
    _own: int | None = field(default=None, init=False)

    def is_known(self) -> bool:
        """Tell whether the manager has the backup of this run; remember which one it is."""
        found = self._found(self.api.instance())
        self._own = None if found is None else found.id
        return found is not None

    def order(self) -> Action:
        """Order it. The mark comes first: whatever happens then, the backup is found again."""
        return Work(NAME, self.api.backup_line, self._order)

    def is_done(self) -> bool:
        """Tell whether the manager says that it is done."""
        return self.seen().status == "done"

    def wait(self) -> Action:
        """Wait until it is done."""
        limit = self.api.settings.backup_within.total_seconds()
        line = f"{self.api.asking}   # until it is done, at most {readable_seconds(limit)}"
        return Work(NAME, line, self._wait, changes=False)

    def seen(self) -> ManagedBackup:
        """Give the backup as the manager lists it now."""
        return self._among(self.api.instance())

    def measure(self) -> ManagedBackup | None:
        """Give the largest of the backups that were done last before this one, with its size.

        The last one alone may be the one that shrank: then only its own night would be told.
        """
        return max(self._before(), key=lambda one: one.size or 0, default=None)

    def forget(self) -> None:
        """Remove the mark: the next run orders a backup of its own."""
        BackupMark.remove(self.cluster.name)

    def _before(self) -> tuple[ManagedBackup, ...]:
        own = self.seen()
        older = [
            one
            for one in self.api.instance().in_order
            if one.began < own.began and one.status in ("done", "deleted") and one.size
        ]
        return tuple(older[-_MEASURED:])

    def _found(self, instance: ManagedInstance) -> ManagedBackup | None:
        mark = BackupMark.read(self.cluster.name)
        if mark is None:
            return None
        newer = sorted((one for one in instance.backups if one.id > mark.before), key=_number)
        first = newer[0] if newer else None
        is_ours = first is not None and (mark.run == self.run_id or first.is_under_way)
        return first if is_ours else None

    def _among(self, instance: ManagedInstance) -> ManagedBackup:
        for one in instance.backups:
            if one.id == self._own:
                return one
        raise CheckFailed(
            f"{NAME} no longer lists the backup with id {self._own}",
            detail=f"asked with {self.api.asking}",
            hint="Was its own database restored meanwhile? Start the runbook again.",
        )

    def _order(self) -> str:
        newest = self.api.instance().newest_id
        BackupMark(run=self.run_id, before=newest).write(self.cluster.name)
        try:
            return self.api.order_backup()
        except Unclear as error:
            if not self._shows():
                raise
            return f"the answer was lost ({error.detail}), and the backup is listed"
        except RunbookError:
            self.forget()
            raise

    def _shows(self) -> bool:
        """Wait a moment for a backup whose order was not answered."""
        until = time.monotonic() + self.api.settings.settle
        while not self.is_known():
            if time.monotonic() > until:
                return False
            self._pause()
        return True

    def _wait(self) -> str:
        began, told = time.monotonic(), ""
        limit = self.api.settings.backup_within.total_seconds()
        expected = self._expected()
        while True:
            backup = self.seen()
            title = f"backup {backup.backup_id}"
            if backup.status != told:
                told = backup.status
                current().watcher.told(f"{title}: {told}")
            is_done = backup.status == "done"
            current().progress(title, backup.size or 0, expected, finished=is_done)
            if is_done:
                return f"{backup}: done after {readable_seconds(time.monotonic() - began)}"
            self._insist_on_life(backup)
            if time.monotonic() - began > limit:
                raise GoalNotReached(
                    f"{backup} is still {backup.status} after {readable_seconds(limit)}",
                    hint="Look at the agent's log; started again, this runbook goes on waiting.",
                )
            self._pause()

    def _expected(self) -> int:
        before = self._before()
        return (before[-1].size or 0) if before else 0

    def _insist_on_life(self, backup: ManagedBackup) -> None:
        if backup.is_under_way:
            return
        self.forget()
        said = self.api.service.excerpt(str(backup.task.msg or "nothing"))
        raise CommandFailed(
            f"{NAME}: the backup {backup.backup_id} is {backup.status}",
            detail=f"it says: {said}; asked with {self.api.asking}",
            hint="Look at the backup agent's log on the node; then start the runbook again.",
        )

    def _pause(self) -> None:
        current().go_on()
        time.sleep(self.api.settings.every)


def backup_order(cluster: Cluster, run_id: str) -> BackupOrder:
    """Give the order of a run."""
    return BackupOrder(cluster, manager_of(cluster), run_id)


def too_small(backup: ManagedBackup, measure: ManagedBackup | None, smallest: float) -> str:
    """Tell why the size of a backup cannot be right; nothing where it can."""
    if not backup.size:
        return f"{backup.backup_id} has no byte"
    if measure is None or not measure.size or backup.size >= smallest * measure.size:
        return ""
    return (
        f"{backup.backup_id} has {readable_bytes(backup.size)}, "
        f"{backup.size / measure.size:.0%} of the {readable_bytes(measure.size)} of "
        f"{measure.backup_id}"
    )


def _number(backup: ManagedBackup) -> int:
    return backup.id
