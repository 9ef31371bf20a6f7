"""One restore: which backup goes to which places of which node, and how far that is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath

from runbook.actions import Action, Execute, Work
from runbook.backups.backup import Backup
from runbook.hosts import Command
from runbook.postgres import Node
from runbook.restore.marks import RESTORED, RestoreMark, read_mark, write_mark
from runbook.restore.outage import StopClock
from runbook.restore.place import kept
from runbook.restore.ready import MakingReady
from runbook.restore.swap import swaps
from runbook.restore.targets import Targets
from runbook.run import current

_FINISH = """set -eu
cd "$1"
if [ -e pgsql_tmp_auto.conf ]; then mv pgsql_tmp_auto.conf postgresql.auto.conf; fi
"""

_RECOVERING = """
SELECT count(*) FROM pg_catalog.pg_settings
WHERE name = 'restore_command' AND setting = '/bin/false'
"""

# Options on the command line beat postgresql.auto.conf. archive_library: version 15 and newer.
_ARCHIVING = """
SELECT mode.setting AS mode, command.setting AS command, command.source AS command_source,
       coalesce(current_setting('archive_library', true), '') AS library
FROM pg_catalog.pg_settings AS mode, pg_catalog.pg_settings AS command
WHERE mode.name = 'archive_mode' AND mode.setting <> 'off' AND mode.source = 'command line'
  AND command.name = 'archive_command'
"""

_ARCHIVE_SETTING = re.compile(r"\s*(archive_mode|archive_command|archive_library)\s*=?\s*'(.*)'\s*")


@dataclass(frozen=True)
class Restore:
    """A backup on its way into a node's data directory.

    `beside`: the restored data is made ready while the old one lives. `again`: once more,
    although this backup was restored before.
    """

    node: Node
    backup: Backup
    targets: Targets
    making_ready: MakingReady
    beside: bool
    again: bool

    @property
    def live(self) -> str:
        """Name the data directory."""
        return self.targets.data.live

    @property
    def incoming(self) -> str:
        """Name the directory that the restored data is made ready in."""
        return self.making_ready.incoming

    @property
    def clock(self) -> StopClock:
        """Give the clock that knows when something was first stopped."""
        return StopClock(self.node.host, self.node.os_user, self.targets.data.stopped)

    def mark(self) -> RestoreMark | None:
        """Read the mark of the data directory, where it is that of this backup."""
        mark = read_mark(self.node.host, self.live, self.node.os_user)
        return mark if mark is not None and mark.backup == self.backup.id else None

    def in_place(self) -> bool:
        """Tell whether the data directory is already this backup, restored.

        Asked for `again`, only a restore that has not come to its end yet, or is of this run.
        """
        mark = self.mark()
        if mark is None:
            return False
        return not self.again or mark.finished is None or mark.run_id == current().id

    def ready(self) -> bool:
        """Tell whether the restored data is in place, or verified beside the living one."""
        return self.in_place() or (self.making_ready.is_marked() and self._is_complete())

    def given_back(self) -> Action:
        """Remove what was made ready, unless the outage has begun with it when it comes to that.

        People may think for a day; another run may have used it meanwhile, and have died half way.
        """
        remove = self.making_ready.taken_back()

        def give_back() -> str:
            if self.in_place() or self.clock.started_by():
                run = self.clock.started_by() or "another"
                return f"left as it is: run {run} has begun the outage with it"
            return remove.perform().said

        return Work(remove.where, str(remove), give_back)

    def begun_otherwise(self) -> str:
        """Tell how a run that has begun the outage meant this restore, where it meant another."""
        if not self.clock.started_by():
            return ""
        for directory in (self.incoming, self.live):
            mark = read_mark(self.node.host, directory, self.node.os_user)
            mine = mark is not None and mark.backup == self.backup.id and mark.finished is None
            if mark is not None and mine and not self.making_ready.is_as_wished(mark):
                return f"timeline {mark.way}; {mark.places or 'no tablespaces'}"
        return ""

    def archives(self) -> bool:
        """Tell whether the restored server archives its WAL as the backup's settings say."""
        ready = self.making_ready
        if self.in_place():
            mark = self.mark()
        else:
            mark = read_mark(ready.node.host, self.incoming, ready.node.os_user)
            mark = mark if mark is not None and ready.is_marked() else None
        return ready.fork and (ready.archiving if mark is None else mark.archiving)

    def stops_archiving(self) -> str:
        """Tell what came with the backup that keeps it from archiving; empty where it archives.

        Known of data that stands ready or in place: PostgreSQL takes the last line of a name.
        """
        if not self.ready() or not self.archives():
            return ""
        directory = self.live if self.in_place() else self.incoming
        path = f"{directory}/postgresql.auto.conf"
        lines = self.node.host.content(path, user=self.node.os_user).splitlines()
        matches = filter(None, map(_ARCHIVE_SETTING.fullmatch, lines))
        found = {match[1]: match[2] for match in matches}
        program = found.get("archive_command", "on").partition(" ")[0]
        useless = ("false",) if found.get("archive_library") else ("", "false")
        stops = {
            "archive_mode": found.get("archive_mode") == "off",
            "archive_command": PurePath(program).name in useless,
        }
        return ", ".join(f"{name} = '{found[name]}'" for name, is_so in stops.items() if is_so)

    def waits_for_its_end(self) -> bool:
        """Tell whether another run restored it, never closed that, and its server is in use."""
        mark = self.mark()
        if mark is None or mark.finished is not None or mark.run_id == current().id:
            return False
        return self.node.accepts_writes()

    def put_in_place(self) -> tuple[Action, ...]:
        """Swap every place: old data aside, restored data in; the data directory goes first."""
        mark = read_mark(self.node.host, self.incoming, self.node.os_user)
        stamp = mark.stamp if mark else "$(date +%Y%m%d%H%M%S)"
        host, user = self.node.host, self.node.os_user
        actions: list[Action] = []
        if mark is None or mark.run_id != current().id:
            claim = f"write this run's id into {self.incoming}/{RESTORED}"
            actions.append(Work(host.name, claim, self._claim))
        first = self.targets.data if self.beside and self._holds_data() else None
        places = self.targets.places()
        actions += swaps(host, places, self.backup.id, stamp, user=user, first=first)
        return tuple(actions)

    def finish(self) -> tuple[Action, ...]:
        """Take away what was only there for the recovery."""
        host, user = self.node.host, self.node.os_user
        command = Command(("sh", "-c", _FINISH, "finish", self.live), user=user)
        line = f"mv {self.live}/pgsql_tmp_auto.conf {self.live}/postgresql.auto.conf"
        reload = self.node.statement("SELECT pg_catalog.pg_reload_conf()")
        return (Execute(host, command, shown=line), Execute(host, reload))

    def finished(self) -> bool:
        """Tell whether the settings of the recovery are gone, from the disk and from the server."""
        path = f"{self.live}/pgsql_tmp_auto.conf"
        if self.node.host.holds("test", "-e", path, user=self.node.os_user):
            return False
        return self.node.ask(_RECOVERING)[0]["count"] == 0

    def archiving(self) -> str:
        """Tell how the command line switches the server's archiving on; empty if it does not."""
        return "".join(
            f"archive_mode is {row['mode']} from the command line, "
            f"archive_command = '{row['command']}', archive_library = '{row['library']}'"
            for row in self.node.ask(_ARCHIVING)
        )

    def archives_by_command_line(self) -> bool:
        """Tell whether it archives, although that is to be off and nobody has said where to."""
        rows = [] if self.archives() else self.node.ask(_ARCHIVING)
        return any(
            bool(row["library"])
            or (row["command_source"] == "command line" and row["command"] != "/bin/false")
            for row in rows
        )

    def serves(self) -> bool:
        """Tell whether it is written down after how long the applications ran again."""
        mark = self.mark()
        return mark is not None and (mark.outage is not None or not self.clock.started_by())

    def outage(self) -> float | None:
        """Tell after how many seconds the applications ran again, or how long it lasts by now."""
        mark = self.mark()
        return self.clock.seconds() if mark is None or mark.outage is None else mark.outage

    def note_service(self) -> tuple[Action, ...]:
        """Write into the mark after how long the applications run again."""
        line = f"write the length of the outage into {self.live}/{RESTORED}"
        return (Work(self.node.host.name, line, self._note_service),)

    def closed(self) -> bool:
        """Tell whether the mark says that the cluster is in service again."""
        mark = self.mark()
        return mark is not None and mark.finished is not None and not self.clock.started_by()

    def settled(self) -> datetime | None:
        """Tell since when it is restored by another run, to its end; None where it is not."""
        mark = self.mark()
        if mark is None or self.again or not self.closed() or mark.run_id == current().id:
            return None
        return mark.finished

    def close(self) -> tuple[Action, ...]:
        """Write into the mark that the cluster is in service again, and after how long."""
        line = f"write the end of the restore into {self.live}/{RESTORED}"
        return (Work(self.node.host.name, line, self._close),)

    def _is_complete(self) -> bool:
        """Tell whether no part was taken away since; once the old data is, some are in place."""
        host, user = self.node.host, self.node.os_user
        mark = read_mark(host, self.incoming, user)
        asides = kept(host, self.targets.data, user)["aside"]
        is_aside = mark is not None and mark.stamp in asides
        if self.clock.started_by() and (is_aside or not self._holds_data()):
            return True
        parts = self.targets.incoming(self.backup.id)
        return all(host.holds("test", "-d", part, user=user) for part in parts)

    def _holds_data(self) -> bool:
        path = f"{self.live}/PG_VERSION"
        return self.node.host.holds("test", "-e", path, user=self.node.os_user)

    def _claim(self) -> str:
        host, user = self.node.host, self.node.os_user
        mark = read_mark(host, self.incoming, user)
        assert mark is not None
        run_id = current().id
        write_mark(host, self.incoming, user, mark.model_copy(update={"run_id": run_id}))
        return f"marked as the restore of run {run_id}"

    def _note_service(self) -> str:
        mark, seconds = self.mark(), self.clock.seconds()
        assert mark is not None
        now = mark.model_copy(update={"outage": seconds})
        write_mark(self.node.host, self.live, self.node.os_user, now)
        return f"applications run again after {seconds:.1f} s" if seconds else "they run again"

    def _close(self) -> str:
        mark, seconds = self.mark(), self.outage()
        assert mark is not None
        if mark.finished is None:
            now = {"finished": datetime.now(UTC), "outage": seconds}
            write_mark(self.node.host, self.live, self.node.os_user, mark.model_copy(update=now))
        self.clock.clear()
        return f"in service again after {seconds:.1f} s" if seconds else "in service again"
