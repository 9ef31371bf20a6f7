"""The actions that make a backup ready beside, or instead of, the living data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from runbook.actions import Action, Execute, Work
from runbook.backups.backup import Backup
from runbook.backups.catalogue import Catalogue
from runbook.backups.reading import stored_backup
from runbook.errors import RunbookError
from runbook.postgres import Node
from runbook.restore import staging
from runbook.restore.marks import RestoreMark, new_stamp, read_mark, write_mark
from runbook.restore.place import kept
from runbook.restore.reserve import Reserve
from runbook.restore.swap import emptied
from runbook.restore.targets import Targets
from runbook.run import current
from runbook.watch import log


@dataclass(frozen=True)
class MakingReady:
    """A backup on its way out of the store into incoming directories.

    `fork`: the restored server begins a new timeline; `archiving`: it archives its WAL as before;
    `replicating`: standbys will follow it.
    `reserve`: what stays free for a server that lives beside it.
    """

    node: Node
    backup: Backup
    catalogue: Catalogue
    targets: Targets
    fork: bool
    same_system: bool
    archiving: bool
    reserve: Reserve
    replicating: bool = False

    @property
    def incoming(self) -> str:
        """Name the directory that the restored data is made ready in."""
        return self.targets.data.incoming(self.backup.id)

    @property
    def way(self) -> str:
        """Name what the restored data is prepared for."""
        return ("fork" if self.fork else "keep") + (", standbys follow" if self.replicating else "")

    def actions(self, *, remove_old: bool = False) -> tuple[Action, ...]:
        """Make the directory, stream and verify into it, prepare and mark it.

        With `remove_old` the old data is removed for good in between: there is no room for both.
        """
        host, archives = self.node.host, " ".join(item.name for item in self.backup.archives)
        tar = f"tar -x of {self.catalogue}/{self.backup.id}/ ({archives}) into {self.incoming}"
        signal = ("recovery.signal",) if self.fork else ()
        off = "archive_mode = off, archive_command = /bin/false"
        settings = ", ".join((*signal, *(() if self.archiving else (off,))))
        write = f"write {settings} and the mark of the restore into {self.incoming}"
        return (
            self._fresh(),
            *(emptied(host, self.targets.places(), user=self.node.os_user) if remove_old else ()),
            Work(host.name, tar, self._unpack),
            Work(host.name, f"pg_verifybackup {self.incoming}", self._verify),
            Work(host.name, write, self._prepare),
        )

    def taken_back(self) -> Action:
        """Give the action that removes what was made ready."""
        line = f"rm -rf {' '.join(self.targets.incoming(self.backup.id))}"
        command = staging.clear(self.node, *self.targets.incoming(self.backup.id))
        return Execute(self.node.host, command, shown=line)

    @contextmanager
    def whole_or_gone(self, *, outage: bool) -> Iterator[None]:
        """Leave no half of a backup behind when the block does not end well.

        In an outage the names of the timelines stay: the old data may be removed already.
        """
        try:
            yield
        except BaseException:
            if not current().planning:
                self._take_back(self._fresh if outage else self.taken_back)
            raise

    def is_marked(self) -> bool:
        """Tell whether the incoming directory stands whole and verified, as it is wished for."""
        mark = read_mark(self.node.host, self.incoming, self.node.os_user)
        return mark is not None and mark.backup == self.backup.id and self.is_as_wished(mark)

    def is_as_wished(self, mark: RestoreMark) -> bool:
        """Tell whether a mark is of data that was prepared for the same way and places."""
        return (mark.way, mark.places) == (self.way, str(self.targets))

    def _take_back(self, action: Callable[[], Action]) -> None:
        try:
            if not self.is_marked():
                action().perform()
        except RunbookError as error:
            log.warning("%s could not be removed: %s", self.incoming, error.message)

    def _fresh(self) -> Action:
        host, user = self.node.host, self.node.os_user
        others = tuple(
            place.incoming(backup_id)
            for place in self.targets.places()
            for backup_id in kept(host, place, user)["incoming"]
            if backup_id != self.backup.id
        )
        command = staging.fresh(
            self.node,
            self.backup,
            self.targets,
            others,
            same_system=self.same_system,
            kept=self._set_aside(),
        )
        old = f"rm -rf {' '.join(others)} && " if others else ""
        return Execute(host, command, shown=f"{old}mkdir -m 700 {self.incoming}")

    def _set_aside(self) -> tuple[str, ...]:
        found = []
        for place in filter(None, (self.targets.data, self.targets.wal)):
            there = kept(self.node.host, place, self.node.os_user)
            found += [place.aside(stamp) for stamp in there["aside"]]
            found += [place.undone(stamp) for stamp in there["undone"]]
        return tuple(found)

    def _unpack(self) -> str:
        run, stored = current(), stored_backup(self.catalogue, self.backup)
        title = f"restore of {self.backup.id}"

        def tell(done: int, total: int) -> None:
            run.progress(title, done, total)
            self.reserve.watch()

        facts = staging.unpack(self.node, stored, self.backup, self.targets, tell)
        size = self.backup.stored_size
        run.progress(title, size, size, finished=True)
        return f"{facts.files} files, each as its manifest says"

    def _verify(self) -> str:
        raw = stored_backup(self.catalogue, self.backup).raw_manifest
        staging.verify_unpacked(self.node, self.backup, self.targets, raw)
        self.reserve.insist()
        return "backup successfully verified"

    def _prepare(self) -> str:
        staging.prepare(
            self.node,
            self.backup,
            self.targets,
            fork=self.fork,
            archiving=self.archiving,
            replicating=self.replicating,
        )
        mark = RestoreMark(
            backup=self.backup.id,
            run_id=current().id,
            verified=datetime.now(UTC),
            stamp=new_stamp(),
            way=self.way,
            places=str(self.targets),
            archiving=self.archiving,
        )
        write_mark(self.node.host, self.incoming, self.node.os_user, mark)
        return f"{self.backup.id} is verified in {self.incoming}"
