"""One database of one server: dumped beside its name, read back, and entered last."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from runbook.actions import Action, Work
from runbook.components import replay
from runbook.components.catalogue import DumpCatalogue
from runbook.components.dump import DUMP, DatabaseDump, Occasion
from runbook.components.group import Server, ServerGroup
from runbook.components.properties import DatabaseProperties, properties
from runbook.errors import CommandFailed, RunbookError
from runbook.hosts import Command
from runbook.hosts.process import Process
from runbook.run import current
from runbook.stores.store import PART
from runbook.tools import pg_dump, pg_restore
from runbook.units import readable_bytes, readable_seconds
from runbook.watch import log

_STAMP = "$(date +%Y%m%d%H%M%S)"
_LOOK_SECONDS = 1.0

# pg_dump, in a folder and with a file that nobody else may read.
_DUMP = 'umask 077; mkdir -p -- "$1" && shift && exec "$@"'
# Gives a whole archive its name: never over another one, and only when it is on disk.
_NAME = """set -eu
test "$(stat -c %s -- "$1")" = "$3" || { echo "its size has changed" >&2; exit 4; }
[ ! -e "$2" ] || { echo "$2 exists already" >&2; exit 5; }
sync -- "$1"
mv -nT -- "$1" "$2"; [ ! -e "$1" ] || { echo "$2 exists already" >&2; exit 5; }
sync -- "$(dirname -- "$2")"
"""


@dataclass
class Dumping:
    """A dump of one database on its way; `stamp` is its id."""

    group: ServerGroup
    server: Server
    database: str
    catalogue: DumpCatalogue
    occasion: Occasion
    stamp: str
    run_id: str
    _part: str = field(default="", init=False)
    _began: datetime | None = field(default=None, init=False)
    _as_of: datetime | None = field(default=None, init=False)
    _properties: DatabaseProperties | None = field(default=None, init=False)
    _warnings: tuple[str, ...] = field(default=(), init=False)
    _conflicts: int = field(default=0, init=False)

    def actions(self) -> tuple[Action, ...]:
        """Give what a plan shows and a run does."""
        shown = self._path(self.stamp if not current().planning else _STAMP)
        host = self.server.node.console
        read = pg_restore.read_whole(self._program("pg_restore"), shown, user=self._user)
        line = f"{host.shown(read)}; sha256sum; then write {shown.removesuffix(DUMP)}json"
        return (
            Work(host.name, host.shown(self._command(shown)), self._dump),
            Work(host.name, line, self._enter),
        )

    @contextmanager
    def unfinished_removed(self) -> Iterator[None]:
        """Remove what this has begun when the block does not end well; a plan begins nothing."""
        try:
            yield
        except BaseException:
            try:
                if self._began is not None:
                    self._remove()
            except RunbookError as error:
                log.warning("%s stays behind, the next run clears it: %s", self._part, error)
            raise

    @property
    def _user(self) -> str:
        return self.server.node.server_user

    def _program(self, name: str) -> str:
        return self.server.node.program(name)

    def _path(self, stamp: str) -> str:
        folder = self.group.directory(self.server.node)
        return f"{folder}/{self.catalogue.key(self.database, stamp, DUMP)}"

    def _command(self, path: str) -> Command:
        node = self.server.node
        return pg_dump.custom(
            node.program("pg_dump"),
            path,
            user=self._user,
            port=node.port,
            socket=node.socket_directory,
            database=self.database,
            lock_wait_seconds=self.group.settings.lock_wait_seconds,
            compression=self.group.settings.compression,
        )

    def _dump(self) -> str:
        node = self.server.node
        self._began = datetime.now(UTC)
        self._as_of = self._moment()
        self._properties = properties(node, self.database)
        self._conflicts = replay.conflicts(self.server, self.database)
        self.catalogue.begin(self.database, self.stamp, self.run_id)
        path = self._path(self.stamp)
        self._part = f"{path}{PART}{uuid.uuid4().hex}"
        folder = path.rpartition("/")[0]
        plain = self._command(self._part)
        command = replace(plain, argv=("sh", "-c", _DUMP, "dump", folder, *plain.argv))
        with node.console.running(command) as process:
            code = self._watched(process)
            said = process.stderr()
        if code != 0:
            raise self._failed(plain, code, said)
        self._warnings = tuple(line for line in said.splitlines() if line.strip())
        return f"pg_dump has written {self.database} on {node}"

    def _moment(self) -> datetime | None:
        """Ask for the moment that the dump shows at least: never by the worker's clock."""
        standby = "pg_catalog.pg_last_xact_replay_timestamp()"
        moment = standby if self.server.is_standby else "pg_catalog.now()"
        row = self.server.node.ask(f"SELECT {moment} AS moment")[0]
        return datetime.fromisoformat(str(row["moment"])) if row["moment"] else None

    def _watched(self, process: Process) -> int:
        """Wait for pg_dump, telling how far it is by the size of what it has written."""
        run, known = current(), self.catalogue.sound(self.database)
        total = known[-1].size if known else self.server.sizes[self.database]
        title = f"dump of {self.database} on {self.server}"
        while True:
            run.go_on()
            try:
                return process.wait(_LOOK_SECONDS)
            except TimeoutError:
                run.progress(title, self._size(), total)

    def _size(self) -> int:
        argv = ("stat", "-c", "%s", self._part)
        done = self.server.node.console.attempt(Command(argv, user=self._user, timeout=60))
        return int(done.stdout) if done.exit_code == 0 else 0

    def _enter(self) -> str:
        host, path = self.server.node.console, self._path(self.stamp)
        sha256 = self._read_back()
        size = self._size()
        naming = ("sh", "-c", _NAME, "name", self._part, path, str(size))
        host.run(Command(naming, user=self._user, timeout=3600))
        dump = self._record(size, sha256)
        self.catalogue.enter(dump)
        told = [f"{dump.name}: {readable_bytes(dump.size)} in {readable_seconds(dump.seconds)}"]
        return "; ".join([*told, *dump.warnings])

    def _read_back(self) -> str:
        """Read the archive to its last byte and give its SHA-256.

        Only when pg_dump has ended: at its end it writes the positions of all data into the
        archive's beginning, so that what was read before is not what lies on the disk.
        """
        host, program = self.server.node.console, self._program("pg_restore")
        done = host.attempt(pg_restore.read_and_summed(program, self._part, user=self._user))
        if done.exit_code != 0:
            read = pg_restore.read_whole(program, self._part, user=self._user)
            raise host.failed(read, done.exit_code, done.stderr)
        return done.stdout.lstrip("\\")[:64]

    def _record(self, size: int, sha256: str) -> DatabaseDump:
        assert self._began is not None
        assert self._properties is not None
        seen, now = self.server.identity, datetime.now(UTC)
        node = self.server.node
        return DatabaseDump(
            id=self.stamp,
            database=self.database,
            cluster=self.group.cluster.name,
            node=node.name,
            role="standby" if self.server.is_standby else "primary",
            occasion=self.occasion,
            size=size,
            sha256=sha256,
            database_size=self.server.sizes[self.database],
            server_version=seen.version_text,
            server_major=seen.major,
            client_version=node.console.read(self._program("pg_dump"), "--version").strip(),
            system_identifier=seen.system_identifier,
            properties=self._properties,
            warnings=self._warnings,
            as_of=self._as_of,
            began=self._began,
            finished=now,
            verified=now,
            seconds=round((now - self._began).total_seconds(), 3),
            run_id=self.run_id,
        )

    def _failed(self, command: Command, code: int, said: str) -> CommandFailed:
        error = self.server.node.console.failed(command, code, said)
        if replay.ended(self.server, self.database, said, self._conflicts):
            error.hint = (
                f"Replay on {self.server} ended the dump. Set hot_standby_feedback there, or a "
                "longer max_standby_streaming_delay, and start the runbook again."
            )
        return error

    def _remove(self) -> None:
        for files in self.catalogue.leftovers():
            if (files.database, files.id) == (self.database, self.stamp):
                self.catalogue.remove(files)
        if self._part:
            argv = ("rm", "-f", "--", self._part)
            self.server.node.console.run(Command(argv, user=self._user, timeout=60))
