"""The actions that make a clone ready beside the old data: cloned, verified, its own in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from runbook.actions import Action, Execute, Work
from runbook.errors import CommandFailed, RunbookError, Unreachable
from runbook.hosts import Command
from runbook.replication.clone import Clone
from runbook.replication.clone_places import CLONE
from runbook.replication.configuration import copied
from runbook.replication.connection import connection
from runbook.replication.members import repmgr_of, repmgr_program
from runbook.restore import staging
from runbook.restore.marks import RestoreMark, new_stamp, write_mark
from runbook.restore.place import kept
from runbook.restore.swap import emptied
from runbook.run import Run, current
from runbook.tools import repmgr
from runbook.watch import log

OWN_FILES = (
    *("postgresql.conf", "pg_hba.conf", "pg_ident.conf"),
    *("server.crt", "server.key", "root.crt", "root.crl"),
)
"""What a server keeps of its own when its data directory is replaced by a clone of another's."""

_LOOK_SECONDS = 0.5
_LETTING_GO_SECONDS = 15.0  # who cancels a run gives it half a minute

# The manifest has done its work, and would be found wrong at the next verification. The files of
# the standby itself take the place of the primary's. Arguments: clone, where the standby's own
# files were saved if they had to be, where they are otherwise, their names.
_OWN = """set -eu
cd /
new=$1 saved=$2 own=$3; shift 3
if [ -d "$saved" ]; then own=$saved; fi
rm -f "$new/backup_manifest" "$new/recovery.signal"
for name in "$@"; do
  if [ -f "$own/$name" ]; then cp -p -- "$own/$name" "$new/$name"; fi
done
if [ -d "$own/conf.d" ]; then rm -rf -- "$new/conf.d"; cp -pr -- "$own/conf.d" "$new/conf.d"; fi
test -e "$new/standby.signal"
"""

# Arguments: where to, data directory, names. What was saved before stays: the rest may be gone.
_SAVE = """set -eu
cd /
saved=$1 live=$2; shift 2
if [ -e "$saved" ] || [ ! -d "$live" ]; then exit 0; fi
rm -rf -- "$saved.new"
mkdir -m 700 "$saved.new"
for name in "$@" conf.d postmaster.opts; do
  if [ -e "$live/$name" ]; then cp -pr -- "$live/$name" "$saved.new/$name"; fi
done
sync -f "$saved.new"
mv -T "$saved.new" "$saved"
"""
_LINK = 'ln -sfn -- "$1" "$2"'

_PROGRESS = """
SELECT p.backup_streamed AS done, coalesce(p.backup_total, 0) AS total
FROM pg_catalog.pg_stat_progress_basebackup AS p JOIN pg_catalog.pg_stat_activity AS a USING (pid)
WHERE a.application_name = '{name}'
"""


@dataclass(frozen=True)
class Cloning:
    """A clone on its way into an incoming directory."""

    clone: Clone

    def actions(self) -> tuple[Action, ...]:
        """Clear up, write a repmgr.conf for the incoming directory, clone, prepare and mark it."""
        job, incoming = self.clone, self.clone.incoming
        host = job.node.host
        prepare = f"keep {job.node}'s own {', '.join(OWN_FILES)}; mark {incoming} as whole"
        return (
            self._cleared(),
            *(self._old_removed() if job.remove_old else ()),
            *self._lost_slot_dropped(),
            self._copied(),
            Work(host.name, host.shown(self.command()), self._clone),
            Work(host.name, prepare, self._prepare),
        )

    def command(self) -> Command:
        """Give the command that clones: the page's, into another directory."""
        node = self.clone.node
        return repmgr.clone(
            repmgr_program(node),
            self._configuration,
            connection(self.clone.following).options,
            user=node.os_user,
            upstream=self.clone.following.theirs.node_id,
            name=self.walsender,
            fast_checkpoint=self.clone.fast_checkpoint,
        )

    @property
    def walsender(self) -> str:
        """Name what the clone's connections are called on the primary."""
        return f"clone of {self.clone.node}"

    @contextmanager
    def whole_or_gone(self) -> Iterator[None]:
        """Leave neither half a clone nor a new slot behind when the block does not end well."""
        planning = current().planning
        had_slot = planning or self._has_slot()
        try:
            yield
        except BaseException:
            if not planning:
                self._take_back(had_slot=had_slot)
            raise

    def slot_is_free(self) -> bool:
        """Tell whether nobody uses the node's slot, such as a clone that was interrupted."""
        slot = self.clone.following.slot()
        return slot is None or not slot.active

    @property
    def _configuration(self) -> str:
        return f"{self.clone.incoming}.repmgr.conf"

    def _cleared(self) -> Action:
        node, saved = self.clone.node, self.clone.saved
        there = {
            place.incoming(made)
            for place in self.clone.places.places()
            for made in (CLONE, *kept(node.host, place, node.os_user)["incoming"])
        }
        paths = (*sorted(there - {saved}), self._configuration)
        return Execute(node.host, staging.clear(node, *paths), shown=f"rm -rf {' '.join(paths)}")

    def _old_removed(self) -> tuple[Action, ...]:
        """Remove the old data for good; the standby's own files are saved first."""
        node, live = self.clone.node, self.clone.live
        argv = ("sh", "-c", _SAVE, "save", self.clone.saved, live, *OWN_FILES)
        save = Command(argv, user=node.os_user)
        line = f"cp {live}/{{{','.join(OWN_FILES)}}} {self.clone.saved}/"
        places = self.clone.places.places()
        return (
            Execute(node.host, save, shown=line),
            *emptied(node.host, places, user=node.os_user),
        )

    def _lost_slot_dropped(self) -> tuple[Action, ...]:
        """Drop the node's own slot where it has lost its WAL: no clone could stream from it."""
        try:
            slot = self.clone.following.slot()
        except Unreachable:
            return ()
        if slot is None or slot.wal_status != "lost":
            return ()
        return (dropping(self.clone, slot.name),)

    def _copied(self) -> Action:
        node, incoming = self.clone.node, self.clone.incoming
        mapping = self._mapping() if self.clone.places.tablespaces else {}
        command = copied(node, self._configuration, {"data_directory": incoming}, mapping)
        told = f"with data_directory = {incoming}"
        line = f"cp {repmgr_of(node).configuration} {self._configuration}, {told}"
        return Execute(node.host, command, shown=line)

    def _mapping(self) -> dict[str, str]:
        by_oid = {space.oid: space.location for space in self.clone.taken.tablespaces}
        places = self.clone.places.tablespaces
        return {by_oid[oid]: place.incoming(CLONE) for oid, place in places.items()}

    def _clone(self) -> str:
        node = self.clone.node
        total = self.clone.taken.total
        title = f"clone of {self.clone.primary} for {node}"
        with self._watched(title, total):
            node.host.run(self.command())
        current().progress(title, total, total, finished=True)
        return "cloned, and successfully verified by pg_verifybackup"

    @contextmanager
    def _watched(self, title: str, total: int) -> Iterator[None]:
        """Tell how far the clone is, as the primary counts it."""
        over, run = threading.Event(), current()
        watching = threading.Thread(target=self._tell, args=(over, run, title, total), daemon=True)
        watching.start()
        try:
            yield
        finally:
            over.set()
            watching.join(5)

    def _tell(self, over: threading.Event, run: Run, title: str, total: int) -> None:
        sql = _PROGRESS.format(name=self.walsender.replace("'", "''"))
        while not over.wait(_LOOK_SECONDS):
            try:
                rows = self.clone.primary.ask(sql, timeout=10)
            except (Unreachable, CommandFailed):
                continue
            if rows and not over.is_set():
                known = int(str(rows[0]["total"])) or total
                run.progress(title, int(str(rows[0]["done"])), known)

    def _prepare(self) -> str:
        job, node, places = self.clone, self.clone.node, self.clone.places
        user, incoming = node.os_user, job.incoming
        own = job.own_files or places.data.live
        argv = ("sh", "-c", _OWN, "own", incoming, self.clone.saved, own, *OWN_FILES)
        node.host.run(Command(argv, user=user))
        for oid, place in places.tablespaces.items():
            link = (place.live, f"{incoming}/pg_tblspc/{oid}")
            node.host.run(Command(("sh", "-c", _LINK, "link", *link), user=user))
        if places.wal is not None:
            node.host.run(staging.link_wal(node, incoming, places.wal, CLONE))
        node.host.run(Command(("sync", "-f", *places.incoming(CLONE)), user=user))
        node.host.run(Command(("rm", "-f", "--", self._configuration), user=user))
        now = datetime.now(UTC)
        mark = RestoreMark(backup=job.made_of, run_id=current().id, verified=now, stamp=new_stamp())
        write_mark(node.host, incoming, user, mark)
        return f"a clone of {job.primary} is verified in {incoming}"

    def _has_slot(self) -> bool:
        try:
            return self.clone.following.slot() is not None
        except RunbookError:
            return True

    def _take_back(self, *, had_slot: bool) -> None:
        try:
            if self.clone.is_made_ready():
                return
            take_back(self._cleared())
            if not had_slot:
                self._drop_slot()
        except RunbookError as error:
            log.warning("%s is left as it is: %s", self.clone.node, error.message)

    def _drop_slot(self) -> None:
        """Drop the slot that the clone has made, once its walsender knows that nobody reads."""
        deadline = time.monotonic() + _LETTING_GO_SECONDS
        while not self.slot_is_free() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        slot = self.clone.following.slot()
        if slot is None:
            return
        drop = dropping(self.clone, slot.name)
        if slot.active:
            log.warning(
                "slot %s is in use; it keeps all WAL until it is dropped: %s", slot.name, drop
            )
            return
        take_back(drop)


def take_back(action: Action) -> None:
    """Undo a part of what a run has made, and write it down first."""
    current().record("taken back", where=action.where, command=str(action))
    action.perform()


def dropping(clone: Clone, name: str) -> Action:
    """Drop a slot on the primary."""
    statement = clone.primary.statement(f"SELECT pg_catalog.pg_drop_replication_slot('{name}')")
    return Execute(clone.primary.host, statement)
