"""The two ways to take a base backup, each as the actions that a plan shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from runbook.actions import Action, Work
from runbook.backups import recycled
from runbook.backups.backup import Backup, backup_id
from runbook.backups.catalogue import Catalogue
from runbook.backups.foreign import described, read_foreign
from runbook.backups.taking import record_of, take_into
from runbook.cluster import Cluster
from runbook.errors import CommandFailed, RunbookError, Unreachable
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.postgres.passfile import passfile_line
from runbook.restore.reserve import Reserve
from runbook.run import current
from runbook.stores import NodeFolderStore
from runbook.stream.replication import ServerError
from runbook.tools import pg_basebackup
from runbook.units import readable_bytes, readable_seconds
from runbook.watch import log

_SECONDS_TRIED = 3
_SHOWN_ID = "backup_$(date +%Y%m%d%H%M%S)"
PROGRESS = """
SELECT backup_streamed AS done, coalesce(backup_total, 0) AS total
FROM pg_catalog.pg_stat_progress_basebackup JOIN pg_catalog.pg_stat_activity USING (pid)
WHERE application_name = '{name}'
"""


@dataclass
class StreamedBackup:
    """BASE_BACKUP over a replication connection, straight into the store."""

    cluster: Cluster
    node: Node
    catalogue: Catalogue
    label: str
    run_id: str
    reserve: Reserve
    made: str = field(default="", init=False)
    _record: Backup | None = field(default=None, init=False)

    def actions(self) -> tuple[Action, ...]:
        """Give what a plan shows and a run does."""
        login = f"{self.cluster.replication.user}@{self.node.address}:{self.node.port}"
        line = (
            f"BASE_BACKUP as {login}, compression {self.cluster.backups.compression}, verified "
            f"against its manifest while it is written to {self.catalogue}/{_SHOWN_ID}/; its WAL "
            "is kept by a temporary slot"
        )
        enter = f"write {self.catalogue}/{_SHOWN_ID}/backup.json"
        return (
            Work(self.node.host.name, line, self._take),
            Work(str(self.catalogue), enter, self._enter),
        )

    def _take(self) -> str:
        run = current()
        began, made = _begun(self.catalogue, self.run_id)
        self.made = made

        def tell(done: int, total: int) -> None:
            run.progress(f"base backup {made}", done, total)
            self.reserve.watch()

        try:
            streamed = take_into(
                self.catalogue,
                made,
                self.node,
                self.cluster,
                label=self.label,
                tell=tell,
            )
        except ServerError as error:
            error.hint = error.hint or recycled.advice(error.message, self.node.name)
            raise
        self._record = record_of(
            streamed,
            backup_id=made,
            cluster=self.cluster,
            node=self.node,
            label=self.label,
            began=began,
            run_id=self.run_id,
        )
        size = streamed.taken.facts.size
        run.progress(f"base backup {made}", size, size, finished=True)
        why = f"; without a slot: {streamed.without_slot}" if streamed.without_slot else ""
        return f"{_told(self._record)}; compressed with {streamed.recipe}{why}"

    def _enter(self) -> str:
        assert self._record is not None
        self.catalogue.enter(self._record)
        return f"{self._record.id} is in the catalogue"


@dataclass
class PageBackup:
    """pg_basebackup on the node, as the page says; then read back and verified from the disk."""

    cluster: Cluster
    node: Node
    catalogue: Catalogue
    folder: NodeFolderStore
    label: str
    run_id: str
    reserve: Reserve
    made: str = field(default="", init=False)
    _began: datetime | None = field(default=None, init=False)
    _untold: bool = field(default=False, init=False)

    def actions(self) -> tuple[Action, ...]:
        """Give what a plan shows and a run does."""
        shown = self.node.host.shown(self._command(_SHOWN_ID))
        read = f"read {self.catalogue}/{_SHOWN_ID}/ back, against its backup_manifest"
        return (
            Work(self.node.host.name, shown, self._take),
            Work(str(self.catalogue), f"{read}; then write backup.json", self._verify_and_enter),
        )

    def _command(self, made: str) -> Command:
        wanted = self.cluster.backups
        command = pg_basebackup.page(
            self.node.program("pg_basebackup"),
            f"{self.folder.path}/{self.catalogue.key(made)}",
            user=self.node.os_user,
            address=self.node.address,
            port=self.node.port,
            login=self.cluster.replication.user,
            label=self.label,
            fast_checkpoint=wanted.fast_checkpoint,
            max_rate=wanted.max_rate,
            passfile=passfile_line(self.cluster),
        )
        return replace(command, env=(("PGAPPNAME", made),))

    def _take(self) -> str:
        self._began, self.made = _begun(self.catalogue, self.run_id)
        command = self._command(self.made)
        with self.node.host.running(command) as process:
            code = self._watched(process.wait)
            if code != 0:
                said = process.stderr()
                error = self.node.host.failed(command, code, said)
                error.hint = recycled.advice(said, self.node.name) or error.hint
                raise error
        return f"pg_basebackup has written {self.made}"

    def _watched(self, wait: Callable[[float], int]) -> int:
        """Wait for pg_basebackup, telling what PostgreSQL says of its progress."""
        run = current()
        while True:
            try:
                return wait(1.0)
            except TimeoutError:
                for done, total in self._progress():
                    run.progress(f"base backup {self.made}", done, total)
            self.reserve.watch()

    def _progress(self) -> list[tuple[int, int]]:
        """Ask how far it is; nothing where no connection is free: the backup goes on without."""
        try:
            rows = self.node.ask(PROGRESS.format(name=self.made))
        except (Unreachable, CommandFailed) as error:
            if not self._untold:
                log.warning("how far %s is cannot be asked: %s", self.made, error.message)
            self._untold = True
            return []
        return [(int(str(row["done"])), int(str(row["total"]))) for row in rows]

    def _verify_and_enter(self) -> str:
        assert self._began is not None
        run = current()
        title = f"verification of {self.made}"
        verified = read_foreign(
            self.catalogue, self.made, lambda done, total: run.progress(title, done, total)
        )
        record = described(
            verified,
            backup_id=self.made,
            cluster=self.cluster.name,
            node=self.node.name,
            made_by="page",
            label=self.label,
            began=self._began,
            run_id=self.run_id,
        )
        self.catalogue.enter(record)
        return _told(record)


@contextmanager
def unfinished_removed(catalogue: Catalogue, job: StreamedBackup | PageBackup) -> Iterator[None]:
    """Remove what the job began when the block does not end well, whatever ends it."""
    try:
        yield
    except BaseException:
        _remove_unfinished(catalogue, job.made)
        raise


def _remove_unfinished(catalogue: Catalogue, made: str) -> None:
    try:
        for found in catalogue.leftovers():
            if found.id == made:
                catalogue.remove(found)
    except RunbookError as error:
        log.warning("%s stays behind, the next run clears it: %s", made, error.message)


def _begun(catalogue: Catalogue, run_id: str) -> tuple[datetime, str]:
    """Mark a new backup as begun: from now on, what is there of it is ours to remove.

    Names tell seconds; two backups of one second take two names.
    """
    taken = {found.id for found in catalogue.found()}
    for _ in range(_SECONDS_TRIED):
        began = datetime.now(UTC)
        made = backup_id(began)
        if made not in taken:
            catalogue.begin(made, run_id)
            return began, made
        time.sleep(1 - began.microsecond / 1e6)
    raise CommandFailed(
        f"{made} exists already in {catalogue}",
        hint="Do two clocks disagree? Compare the worker's with that of who made it.",
    )


def _told(backup: Backup) -> str:
    return (
        f"{backup.id}: {readable_bytes(backup.data_size)} in {readable_bytes(backup.stored_size)}, "
        f"{readable_seconds(backup.seconds)}, WAL {backup.start_lsn} to {backup.stop_lsn}"
    )
