"""The copy: pg_basebackup from the primary into `repl`, judged, and made a standby's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from runbook.actions import Action, Execute, Work
from runbook.errors import CommandFailed, RunbookError, Unreachable
from runbook.hosts import Command
from runbook.hosts.process import Process
from runbook.postgres.passfile import line_for
from runbook.restore import staging
from runbook.restore.marks import new_stamp
from runbook.restore.swap import shown, swap
from runbook.run import current
from runbook.standby.mark import COPIED, StandbyMark, write_mark
from runbook.standby.secret import known
from runbook.standby.setup import PASSFILE, StandbySetup
from runbook.tools import pg_basebackup, pg_verifybackup
from runbook.watch import log

_LOOK_SECONDS = 0.5
_STALL_SECONDS = 900.0

# A new directory for the server's user. What lies there was checked to be an earlier run's: a
# password file of ours beside it. Arguments: directory, owner (uid:gid) inside.
_FRESH = """set -eu
cd /
for attempt in 1 2 3 4 5 6 7 8; do
  if rm -rf --one-file-system -- "$1" 2>/dev/null; then break; fi
  sleep 0.5
done
mkdir -m 700 "$1"
chown "$2" "$1"
"""

# pg_basebackup -R has written a primary_conninfo that names its own passing password file. What a
# promoted standby must not inherit is waiting for a standby of its own.
# Arguments: directory, primary_conninfo, slot, staged password file, its name inside.
_PREPARE = """set -eu
cd "$1"
umask 077
grep -vE '^[[:space:]]*(primary_conninfo|primary_slot_name|hot_standby|synchronous_standby_names)'\\
'[[:space:]]*=' postgresql.auto.conf >pgsql_tmp_auto.conf || true
printf '%s\\n' "primary_conninfo = '$2'" "primary_slot_name = '$3'" "hot_standby = 'on'" \\
  "synchronous_standby_names = ''" >>pgsql_tmp_auto.conf
cp "$4" "$5"
: >>standby.signal
chmod --reference=PG_VERSION standby.signal
chown --reference=PG_VERSION pgsql_tmp_auto.conf "$5" standby.signal
mv pgsql_tmp_auto.conf postgresql.auto.conf
sync postgresql.auto.conf "$5" standby.signal .
"""

RESERVED = "slot reserved"
"""What a run remembers of the slot that it has made."""

# The condition keeps a slot that came into use in this very moment.
_DROP = """
SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots
WHERE slot_name = '{name}' AND NOT active
"""

_PROGRESS = """
SELECT coalesce(max(p.backup_streamed), 0)::bigint AS done,
       coalesce(max(p.backup_total), 0)::bigint AS total, coalesce(max(p.phase), '') AS phase
FROM pg_catalog.pg_stat_progress_basebackup AS p JOIN pg_catalog.pg_stat_activity AS a USING (pid)
WHERE a.usename = '{user}' AND a.application_name = 'pg-runbooks'
"""


@dataclass(frozen=True)
class Copying:
    """A standby's copy on its way from the primary into `repl`, and then into place."""

    setup: StandbySetup

    def is_ready(self) -> bool:
        """Tell whether `repl` holds a whole and verified copy."""
        return self.setup.mark(self.setup.repl) is not None

    def actions(self) -> tuple[Action, ...]:
        """Copy, verify, and write what makes the copy this primary's standby."""
        setup = self.setup
        standby, repl = setup.standby, setup.repl
        there = standby.workshop(repl)
        verify = pg_verifybackup.verify(
            standby.program("pg_verifybackup"), repl, user=standby.server_user
        )
        line = f"write primary_conninfo, primary_slot_name and the password file into {repl}"
        return (
            Execute(standby.host, self._fresh(), shown=f"rm -rf {repl} && mkdir -m 700 {repl}"),
            Work(standby.host.name, there.shown(self._copy("***")), self._run),
            Execute(there, verify),
            Work(standby.host.name, line, self._prepare),
        )

    @contextmanager
    def whole_or_gone(self) -> Iterator[None]:
        """Leave no half of a copy behind when the block does not end well."""
        try:
            yield
        except BaseException:
            if not current().planning:
                self._take_back()
            raise

    def put_in_place(self) -> tuple[Action, ...]:
        """Set the old data aside by renaming, and rename the copy to its name."""
        setup = self.setup
        mark = setup.mark(setup.repl)
        stamp = mark.stamp if mark else "$(date +%Y%m%d%H%M%S)"
        aside, user = setup.place.aside(stamp), setup.standby.os_user
        command = swap(setup.place, setup.repl, aside, user=user, mark=COPIED)
        return (Execute(setup.standby.host, command, shown=shown(setup.place, setup.repl, aside)),)

    def secret_is_gone(self) -> bool:
        """Tell whether the staged password file is away, its copy being in place."""
        host, user = self.setup.standby.host, self.setup.standby.os_user
        return not host.holds("test", "-e", self.setup.staged_secret, user=user)

    def remove_secret(self) -> Action:
        """Remove the staged password file."""
        argv = ("rm", "-f", "--", self.setup.staged_secret)
        return Execute(self.setup.standby.host, Command(argv, user=self.setup.standby.os_user))

    def _fresh(self) -> Command:
        standby = self.setup.standby
        ids = standby.workshop().read("sh", "-c", OWNER, user=standby.server_user).strip()
        argv = ("sh", "-c", _FRESH, "fresh", self.setup.repl, ids)
        return Command(argv, user=standby.os_user, timeout=600)

    def _copy(self, password: str) -> Command:
        setup = self.setup
        return pg_basebackup.standby(
            setup.standby.program("pg_basebackup"),
            setup.repl,
            user=setup.standby.server_user,
            address=setup.primary.address,
            port=setup.primary.port,
            login=setup.user,
            max_rate=setup.cluster.backups.max_rate,
            passfile=line_for(setup.user, password) if password else "",
        )

    def _run(self) -> str:
        there, command = self.setup.standby.workshop(self.setup.repl), self._copy(known(self.setup))
        with there.running(command) as process:
            code = self._watch(process)
            if code != 0:
                raise there.failed(command, code, process.stderr())
        return f"{self.setup.repl} is a copy of {self.setup.primary}"

    def _watch(self, process: Process) -> int:
        """Tell how far it is until it ends; Unreachable when no byte comes any more."""
        title, moved, seen = f"copy of {self.setup.primary}", time.monotonic(), (-1, "")
        total = 0
        while True:
            try:
                code = process.wait(_LOOK_SECONDS)
            except TimeoutError:
                done, total, phase = self._progress()
                if (done, phase) != seen:
                    moved, seen = time.monotonic(), (done, phase)
                    current().progress(title, done, total)
            else:
                current().progress(title, total, total, finished=True)
                return code
            if time.monotonic() - moved > _STALL_SECONDS:
                raise Unreachable(
                    f"the copy stands still for {_STALL_SECONDS:.0f} s",
                    detail=f"{seen[0]} bytes had come, phase: {seen[1] or 'not begun'}",
                    hint="Check network and disks of both machines, then start the runbook again.",
                )

    def _progress(self) -> tuple[int, int, str]:
        """Ask the primary; nothing new where it does not answer now."""
        sql = _PROGRESS.format(user=self.setup.user.replace("'", "''"))
        try:
            row = self.setup.primary.ask(sql, timeout=20)[0]
        except (Unreachable, CommandFailed):
            return 0, 0, ""
        return int(str(row["done"])), int(str(row["total"])), str(row["phase"])

    def _prepare(self) -> str:
        setup = self.setup
        host, user = setup.standby.host, setup.standby.os_user
        conninfo = setup.conninfo().replace("'", "''")
        words = (setup.repl, conninfo, setup.slot_name, setup.staged_secret, PASSFILE)
        host.run(Command(("sh", "-c", _PREPARE, "prepare", *words), user=user, timeout=300))
        mark = StandbyMark(
            primary=setup.primary.name,
            system_identifier=setup.system_identifier,
            slot=setup.slot_name,
            run_id=current().id,
            verified=datetime.now(UTC),
            stamp=new_stamp(),
        )
        write_mark(host, setup.repl, user, mark)
        return f"{setup.repl} is ready to be the standby's data"

    def _take_back(self) -> None:
        try:
            if self.is_ready():
                return
        except RunbookError as error:
            log.warning("%s cannot be looked at: %s", self.setup.repl, error.message)
        self._release_slot()
        try:
            if not self.is_ready():
                standby = self.setup.standby
                standby.host.run(staging.clear(standby, self.setup.repl))
        except RunbookError as error:
            log.warning("%s could not be removed: %s", self.setup.repl, error.message)

    def _release_slot(self) -> None:
        """Drop the slot that this run has reserved: without a copy it only fills the disk."""
        primary, name = self.setup.primary, self.setup.slot_name
        if current().memory.get(RESERVED) != name:
            return
        drop = Execute(primary.console, primary.statement(_DROP.format(name=name)))
        try:
            current().record("taken back", where=drop.where, command=str(drop))
            drop.perform()
        except RunbookError as error:
            log.warning("slot %s stays on %s, drop it: %s", name, primary, error.message)


OWNER = 'echo "$(id -u):$(id -g)"'
"""Tells who the server's user is by number: names may differ inside and outside."""
