"""A restore that the Backup Manager is to make, though it cannot tell how it goes."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from runbook.actions import Action, Work
from runbook.cluster import Cluster
from runbook.errors import CheckFailed, CommandFailed, GoalNotReached, RunbookError, Unreachable
from runbook.manager.agent_log import AgentLog, Seen, agent_log
from runbook.manager.answers import ManagedBackup, ManagedInstance
from runbook.manager.api import NAME, ManagerApi
from runbook.manager.ghosts import Ghosts
from runbook.manager.marks import BackupMark, LogPosition, RestoreMark
from runbook.manager.web import Unclear
from runbook.run import current
from runbook.units import readable_seconds


@dataclass
class RestoreOrder:
    """The restore of one backup: what was ordered, by the mark, the log and the manager.

    `mark` is that of this backup, if a restore of it was ordered last and shall not be repeated.
    """

    cluster: Cluster
    api: ManagerApi
    backup: ManagedBackup
    ghosts: Ghosts
    run_id: str
    log: AgentLog
    mark: RestoreMark | None

    def is_ordered(self) -> bool:
        """Tell whether this backup is what was restored last, or is being restored."""
        if self.mark is None:
            return False
        if self.mark.finished:
            return self.log.since(self.mark.log).restores == 0
        return self.mark.accepted or self._shows()

    @property
    def is_hidden(self) -> bool:
        """Tell whether nobody can see if somebody else has restored since this one ended."""
        if self.mark is None or not self.mark.finished:
            return False
        seen = self.log.since(self.mark.log)
        return seen.is_cut and not seen.restores

    def order(self) -> Action:
        """Order it. The mark comes first: whatever happens then, it is not ordered twice."""
        return Work(NAME, self.api.restore_line(self.backup), self._order)

    def is_over(self) -> bool:
        """Tell whether the agent says success and the manager answers again."""
        if self.mark is None:
            return False
        if self.mark.finished:
            return True
        state = self._looked()
        return state.is_back and state.has_succeeded

    def wait(self) -> Action:
        """Wait until the agent has succeeded and the manager is back."""
        limit = readable_seconds(self.api.settings.restore_within.total_seconds())
        line = f"{self.log.shown()}   # until success, at most {limit}; {NAME} is away meanwhile"
        return Work(self.log.host.name, line, self._wait, changes=False)

    @property
    def lasted(self) -> float | None:
        """Give the seconds from the order until now; None where the restore is closed already."""
        if self.mark is None or self.mark.finished:
            return None
        return (datetime.now(UTC) - self.mark.began).total_seconds()

    def close(self) -> None:
        """Write down that this backup is in place and the cluster is well."""
        assert self.mark is not None
        if self.mark.finished is None:
            self._keep(finished=datetime.now(UTC), log=self.log.position())

    def _order(self) -> str:
        self.mark = RestoreMark(
            run=self.run_id,
            backup=self.backup,
            began=datetime.now(UTC),
            log=self.log.position(),
            ghosts=self.ghosts,
        )
        self.mark.write(self.cluster.name)
        BackupMark.remove(self.cluster.name)
        try:
            number = self.api.order_restore(self.backup)
        except Unclear as error:
            if not self._shows_in_time():
                raise
            self._keep(accepted=True)
            return f"the answer was lost ({error.detail}), and the restore goes on"
        except RunbookError as error:
            self._keep(failed=error.message)
            raise
        self._keep(accepted=True, restore_id=number)
        return f"restore_id {number}"

    def _shows(self) -> bool:
        """Tell whether an order without an answer has arrived, by the log or by the manager."""
        assert self.mark is not None
        if self.log.since(self.mark.log).restores:
            return True
        try:
            instance = self.api.instance_now()
        except RunbookError:
            return False
        return any(
            one.task and one.task.status in ("queued", "running") for one in instance.restores
        )

    def _shows_in_time(self) -> bool:
        until = time.monotonic() + self.api.settings.settle
        while not self._shows():
            if time.monotonic() > until:
                return False
            self._pause()
        return True

    def _wait(self) -> str:
        began, told, since = time.monotonic(), "", time.monotonic()
        assert self.mark is not None
        last = self.mark.log
        limit = self.api.settings.restore_within.total_seconds()
        while True:
            state = self._looked()
            last = self._followed(state.seen, last)
            if str(state) != told:
                told, since = str(state), time.monotonic()
                current().watcher.told(f"restore of {self.backup.backup_id}: {told}")
            if state.is_back and state.has_succeeded:
                return f"{told} after {readable_seconds(time.monotonic() - began)}"
            if state.is_back and state.trouble:
                self._insist_on_life(state.trouble, quiet=time.monotonic() - since)
            if time.monotonic() - began > limit:
                raise GoalNotReached(
                    f"the restore of {self.backup} has not ended in {readable_seconds(limit)}",
                    detail=f"last seen: {told}",
                    hint=f"Look yourself: {self.log.shown()}. Started again, it goes on waiting.",
                )
            self._pause()

    def _insist_on_life(self, trouble: str, *, quiet: float) -> None:
        """Give up once the manager is back, the agent has told trouble, and nothing follows."""
        if quiet < self.api.settings.settle:
            return
        self._keep(failed=trouble)
        raise CommandFailed(
            f"the restore of {self.backup} has failed",
            detail=f"the agent's log on {self.log.host} says:\n{trouble}",
            hint="The cluster may hold half of it. Mend the cause and start the runbook again, "
            "or use logical-recovery with the files in the store.",
        )

    def _looked(self) -> _State:
        assert self.mark is not None
        try:
            seen = self.log.since(self.mark.log)
        except (Unreachable, CheckFailed) as error:
            seen = Seen((), unread=error.message)
        begun = self.mark.begun or (self.mark.accepted and seen.is_cut)
        seen = replace(seen, is_begun=begun, is_over=self.mark.succeeded)
        try:
            instance = self.api.instance_now()
        except RunbookError as error:
            return _State(seen, None, self.mark.restore_id, error.message)
        return _State(seen, instance, self.mark.restore_id)

    def _followed(self, seen: Seen, last: LogPosition) -> LogPosition:
        """Write down how far it is, and where a log that was replaced is to be read from."""
        assert self.mark is not None
        if seen.at is None:
            return last
        is_other = not seen.at.continues(last)
        begun = self.mark.begun or is_other or seen.restores > 0
        # Trouble is read again until it is judged: it stands in the file of before.
        moves = is_other and not seen.trouble
        log = seen.at.model_copy(update={"size": 0}) if moves else self.mark.log
        told = {"begun": begun, "succeeded": seen.has_succeeded, "log": log}
        if told != {name: getattr(self.mark, name) for name in told}:
            self._keep(**told)
        return seen.at

    def _keep(self, **fields: object) -> None:
        assert self.mark is not None
        self.mark = self.mark.model_copy(update=fields)
        self.mark.write(self.cluster.name)

    def _pause(self) -> None:
        current().go_on()
        time.sleep(self.api.settings.every)


@dataclass(frozen=True)
class _State:
    """What log and manager tell at a moment."""

    seen: Seen
    instance: ManagedInstance | None
    restore_id: int | None
    away: str = ""

    @property
    def is_back(self) -> bool:
        return self.instance is not None

    @property
    def has_succeeded(self) -> bool:
        return self.seen.has_succeeded or self._listed == "done"

    @property
    def trouble(self) -> str:
        return "the manager lists it as failed" if self._listed == "failed" else self.seen.trouble

    @property
    def _listed(self) -> str:
        """Give the state of the restore where the manager could keep it."""
        listed = self.instance.restores if self.instance else ()
        own = [one.task.status for one in listed if one.id == self.restore_id and one.task]
        return own[0] if own else ""

    def __str__(self) -> str:
        answers = "the manager answers" if self.is_back else self.away
        agent = "the agent has succeeded" if self.has_succeeded else f"agent: {self.seen.last}"
        return f"{agent}; {answers}"


def restore_order(
    cluster: Cluster, api: ManagerApi, backup: ManagedBackup, *, again: bool, run_id: str
) -> RestoreOrder:
    """Give the order of a run, with the mark of an earlier one that it goes on with."""
    mark = usable_mark(cluster, again=again)
    if mark is not None and mark.backup.backup_id != backup.backup_id:
        mark = None
    node = cluster.node(mark.log.node) if mark else cluster.primary()
    ghosts = mark.ghosts if mark else Ghosts()
    return RestoreOrder(cluster, api, backup, ghosts, run_id, agent_log(cluster, node), mark)


def usable_mark(cluster: Cluster, *, again: bool) -> RestoreMark | None:
    """Give the mark of the restore that was ordered last; None where it is to be repeated.

    What failed is repeated; what is under way is not, until its time is over.
    """
    assert cluster.manager is not None
    mark = RestoreMark.read(cluster.name)
    if mark is None or mark.failed:
        return None
    is_late = datetime.now(UTC) - mark.began > cluster.manager.restore_within
    return None if again and (mark.finished or is_late) else mark
