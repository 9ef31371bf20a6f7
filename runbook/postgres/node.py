"""A PostgreSQL server on a host: its settings, and the doors to ask it something."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, Field, model_validator

from runbook.errors import CommandFailed, Unreachable
from runbook.hosts import Command, Completed, Host
from runbook.postgres.fencing import Fencing
from runbook.postgres.repmgr import Repmgr
from runbook.postgres.state import ControlData, Identity, Tablespace, parse_controldata
from runbook.services import AnyService, PgCtl
from runbook.tools import pg_ctl, psql

_READ_SECONDS = 60.0

# A server that is stopping removes its lock file at any moment.
_LOCK = '[ ! -e "$1" ] || head -n 1 "$1" || [ ! -e "$1" ]'

# A server works in its data directory; a lock file can be removed by hand, or name the process of
# somebody else after a crash. Looks so many times, a tenth of a second apart; exits 0 at the first
# server seen.
_AT_WORK = """
looks=$2
while :; do
  pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null)
  for process in /proc/[0-9]*; do
    read -r name <"$process/comm" || continue
    case $name in postgres|postmaster) ;; *) continue;; esac
    if [ "$process/cwd" -ef "$1" ]; then exit 0; fi
    if [ "$process" = "/proc/$pid" ] && [ ! -e "$process/cwd" ]; then exit 0; fi
  done 2>/dev/null
  looks=$((looks - 1)); [ "$looks" -gt 0 ] || exit 1
  sleep 0.1
done
"""

Row = dict[str, object]

IDENTITY = """
SELECT current_setting('server_version_num')::int AS version,
       current_setting('server_version') AS version_text,
       current_setting('data_directory') AS data_directory,
       current_setting('hba_file') AS hba_file,
       (SELECT setting FROM pg_catalog.pg_config WHERE name = 'BINDIR') AS bin_directory,
       (SELECT system_identifier::text FROM pg_catalog.pg_control_system()) AS system_identifier,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()) AS timeline,
       pg_catalog.pg_size_bytes(current_setting('wal_segment_size')) AS wal_segment_size
"""

TABLESPACES = """
SELECT oid::int, spcname AS name, pg_catalog.pg_tablespace_location(oid) AS location,
       pg_catalog.pg_tablespace_size(oid) AS size
FROM pg_catalog.pg_tablespace
WHERE pg_catalog.pg_tablespace_location(oid) <> '' ORDER BY oid
"""


class Node(BaseModel):
    """One PostgreSQL server. Its role is not a setting: it is asked of the server."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(description="Name of the server in plans and records.")
    host: Host = Field(description="The machine it runs on.")
    port: int = Field(default=5432, ge=1, le=65535, description="Port of the server.")
    address: str = Field(
        default="127.0.0.1",
        description="Address that replication connections on the host go to; "
        "the page: localhost for a single instance, the host's IP address in a repmgr cluster.",
    )
    data_directory: str = Field(
        default="", description="Needed where the server may be down; otherwise it is asked."
    )
    bin_directory: str = Field(default="", description="PostgreSQL's programs; empty: asked.")
    socket_directory: str = Field(default="", description="Unix socket; empty: psql's default.")
    os_user: str = Field(default="postgres", description="Operating system user of the server.")
    service: AnyService = Field(default=PgCtl(), description="What starts and stops the server.")
    repmgr: Repmgr | None = Field(default=None, description="Where repmgr manages this server.")
    fencing: Fencing | None = Field(
        default=None, description="What takes the machine out of service when SSH does not answer."
    )

    @model_validator(mode="after")
    def _directory_known(self) -> Node:
        if self.service.needs_directory and not self.data_directory:
            raise ValueError(f"node {self.name} needs data_directory: the directory on its machine")
        return self

    def __str__(self) -> str:
        return self.name

    @property
    def console(self) -> Host:
        """Give where programs run beside the running server: its host, or inside its container."""
        return self.service.console(self.host)

    def workshop(self, directory: str = "") -> Host:
        """Give where PostgreSQL's programs work on a directory, whether or not the server runs."""
        return self.service.workshop(self.host, directory)

    @property
    def server_user(self) -> str:
        """Name the user of the server, where its programs run."""
        return self.service.user_inside(self.os_user)

    def program(self, name: str) -> str:
        """Give the path of one of PostgreSQL's programs."""
        return f"{self.bin_directory}/{name}" if self.bin_directory else name

    def directory(self) -> str:
        """Give the data directory: the setting, or what the running server says."""
        return self.data_directory or self.identity().data_directory

    def located(self) -> Node:
        """Give this node with data and program directories filled in from the running server."""
        if self.data_directory and (self.bin_directory or self.service.needs_directory):
            return self
        seen = self._identity_for_settings()
        return self.model_copy(
            update={
                "data_directory": self.data_directory or seen.data_directory,
                "bin_directory": self.bin_directory or seen.bin_directory,
            }
        )

    def _identity_for_settings(self) -> Identity:
        try:
            return self.identity()
        except (Unreachable, CommandFailed) as error:
            lacking = [n for n in ("data_directory", "bin_directory") if not getattr(self, n)]
            raise Unreachable(
                f"node {self} has no {' and no '.join(lacking)} in its settings, "
                "and PostgreSQL cannot be asked for it",
                detail=error.detail or error.message,
                hint=f"Set {' and '.join(lacking)} of node {self} in the inventory, "
                "for instance /var/lib/postgresql/15/main and /usr/lib/postgresql/15/bin.",
            ) from error

    def ask(
        self, sql: str, *, database: str = "postgres", timeout: float = _READ_SECONDS
    ) -> list[Row]:
        """Run a query that changes nothing and give its rows; Unreachable when nobody answers."""
        wrapped = f"SELECT coalesce(json_agg(r), '[]') FROM ({sql.strip().rstrip(';')}) AS r"
        done = self.console.ask(self.statement(wrapped, database=database, timeout=timeout))
        if done.exit_code != 0:
            raise self._no_answer(done)
        rows = json.loads(done.stdout)
        assert isinstance(rows, list)
        return rows

    def attempt_sql(
        self, sql: str, *, database: str = "postgres", timeout: float = _READ_SECONDS
    ) -> Completed:
        """Run one statement and give psql's answer, whatever it is."""
        return self.console.attempt(self.statement(sql, database=database, timeout=timeout))

    def statement(
        self, sql: str, *, database: str = "postgres", timeout: float = _READ_SECONDS
    ) -> Command:
        """Give the psql line for a statement."""
        return psql.query(
            self.program("psql"),
            sql,
            user=self.server_user,
            port=self.port,
            socket=self.socket_directory,
            database=database,
            timeout=timeout,
        )

    def accepts_connections(self) -> bool:
        """Tell whether the server answers a query."""
        try:
            return self.attempt_sql("SELECT 1", timeout=10).exit_code == 0
        except Unreachable:
            return False

    def accepts_writes(self) -> bool:
        """Tell whether the server answers and is not in recovery."""
        try:
            done = self.attempt_sql("SELECT pg_catalog.pg_is_in_recovery()", timeout=10)
        except Unreachable:
            return False
        return done.exit_code == 0 and done.stdout.strip() == "f"

    def is_stopped(self) -> bool:
        """Tell whether no server runs on the data directory: by its processes and lock file."""
        return self.stays_stopped(0.0)

    def stays_stopped(self, seconds: float) -> bool:
        """Watch the data directory for so long; False as soon as a server is at work there."""
        looks = 1 + round(seconds * 10)
        argv = ("sh", "-c", _AT_WORK, "at-work", self.directory(), str(looks))
        command = Command(argv, user=self.os_user, ok=(0, 1), timeout=60 + 2 * seconds)
        return self.host.run(command).exit_code == 1

    def server_pid(self) -> str:
        """Give the process id in the lock file of the data directory; empty without one."""
        path = f"{self.directory()}/postmaster.pid"
        return self.host.read("sh", "-c", _LOCK, "lock", path, user=self.os_user).strip()

    def identity(self) -> Identity:
        """Ask the running server which one it is."""
        return Identity.model_validate(self.ask(IDENTITY)[0])

    def tablespaces(self) -> tuple[Tablespace, ...]:
        """Ask for all tablespaces outside the data directory."""
        return tuple(Tablespace.model_validate(row) for row in self.ask(TABLESPACES))

    def controldata(self, directory: str = "") -> ControlData:
        """Read the control file of the data directory, or of another one on the same host."""
        path = directory or self.directory()
        command = pg_ctl.controldata(self.program("pg_controldata"), path, user=self.server_user)
        return parse_controldata(self.workshop(path).run(command).stdout)

    def readable_controldata(self) -> ControlData | None:
        """Read the control file of the data directory; None where there is none to be read."""
        try:
            return self.controldata()
        except CommandFailed:
            return None

    def _no_answer(self, done: Completed) -> Unreachable | CommandFailed:
        said = done.stderr.strip() or done.stdout.strip()
        if done.exit_code == 2:
            return Unreachable(
                f"PostgreSQL on {self} does not answer",
                detail=said,
                hint=f"Is it running on {self.host}, port {self.port}? "
                f"Does {self.server_user} get in? Where it listens elsewhere: correct port or "
                f"socket_directory of node {self}.",
            )
        if done.exit_code == 127:
            return CommandFailed(
                f"{self.host} has no {self.program('psql')}",
                detail=said,
                hint=f"Set bin_directory of node {self}, for instance /usr/lib/postgresql/15/bin.",
            )
        return CommandFailed(f"a query failed on {self}", detail=said)
