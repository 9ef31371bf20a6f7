"""One PostgreSQL server of the loopback lab: made, started, stopped and asked."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.lab import processes
from tests.lab.errors import LabError
from tests.lab.sshd import Host

BIN_DIRECTORY = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "lab-postgres"
Authentication = Literal["scram-sha-256", "trust"]

_SETTINGS = {
    "wal_level": "replica",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "hot_standby": "on",
    "wal_log_hints": "on",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "fsync": "off",
    "log_statement": "all",
    "checkpoint_timeout": "1h",  # none comes by itself between two looks
    "log_replication_commands": "on",
    "log_connections": "on",
}

_HOST_SETTINGS = """\
# What belongs to this host and not to its data directory: a clone or a restored directory
# includes the file of the host it stands on.
listen_addresses = '{address}'
port = {port}
unix_socket_directories = '{directory}/run'
cluster_name = '{name}'
logging_collector = on
log_destination = 'stderr,jsonlog'
log_directory = '{directory}/log'
log_filename = 'postgresql.log'
log_rotation_age = 0
log_rotation_size = 0
"""


@dataclass(frozen=True)
class PostgresNode:
    """A PostgreSQL server on a host of the loopback lab, run as OS user postgres by pg_ctl."""

    host: Host
    directory: Path
    port: int = 5432
    password: str = PASSWORD
    bin_directory: Path = BIN_DIRECTORY
    tablespaces: Mapping[str, Path] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.host.name

    @property
    def data_directory(self) -> Path:
        return self.directory / "main"

    @property
    def socket_directory(self) -> Path:
        return self.directory / "run"

    @property
    def log(self) -> Path:
        """The server log; postgresql.json beside it holds the same, one JSON object a line."""
        return self.directory / "log" / "postgresql.log"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None when it does not run."""
        try:
            pid = int((self.data_directory / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return None
        return pid if processes.alive(pid) else None

    def conninfo(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return a libpq connection string over the host's address, password included."""
        return (
            f"host={self.host.address} port={self.port} dbname={database} user={user} "
            f"password={self.password} connect_timeout=5"
        )

    def is_running(self) -> bool:
        return self.pid is not None

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        self._pg_ctl("-l", self.directory / "log" / "start.log", "start")

    def stop(self, mode: Literal["fast", "immediate", "smart"] = "fast") -> None:
        """Stop the server and wait until it is gone; nothing to do when it does not run."""
        if self.is_running():
            self._pg_ctl("-m", mode, "stop")

    def reload(self) -> None:
        self._pg_ctl("reload")

    def psql(self, sql: str, *, database: str = "postgres") -> str:
        """Run SQL statements over the Unix socket; return unaligned rows, fields split by |."""
        argv: list[str | Path] = [
            self.bin_directory / "psql",
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-f",
            "-",
            "-h",
            self.socket_directory,
            "-p",
            str(self.port),
            "-d",
            database,
        ]
        done = processes.run(argv, user="postgres", stdin=sql)
        return done.stdout.rstrip("\n")

    def tool(self, name: str, *arguments: str | Path, timeout: float = 120) -> str:
        """Run one of PostgreSQL's own programs as postgres; return what it printed."""
        argv: list[str | Path] = [self.bin_directory / name, *arguments]
        env = {"PGHOST": str(self.socket_directory), "PGPORT": str(self.port)}
        done = processes.run(argv, user="postgres", mark=self.host.lab, env=env, timeout=timeout)
        return done.stdout

    def _pg_ctl(self, *arguments: str | Path) -> None:
        argv: list[str | Path] = [
            self.bin_directory / "pg_ctl",
            "-D",
            self.data_directory,
            "-w",
            "-t",
            "60",
        ]
        done = processes.run([*argv, *arguments], user="postgres", mark=self.host.lab, check=False)
        if done.returncode != 0:
            tail = self.log.read_text()[-1500:] if self.log.exists() else ""
            raise LabError(
                f"pg_ctl {arguments[-1]} of {self.name} ended with exit code {done.returncode}",
                detail=f"{done.stdout}{done.stderr}{tail}",
                hint=f"Read {self.log}",
            )


def prepare_node(host: Host, tablespaces: Sequence[str] = ()) -> PostgresNode:
    """Make the directories and the host's own settings of a server that has no data yet."""
    directory = host.directory / "postgresql"
    spaces = {name: directory / "tablespaces" / name for name in tablespaces}
    node = PostgresNode(host, directory, tablespaces=spaces)
    for path in (directory, node.socket_directory, node.log.parent, *spaces.values()):
        path.mkdir(mode=0o755, parents=True)
    text = _HOST_SETTINGS.format(
        address=host.address, port=node.port, directory=directory, name=host.name
    )
    (directory / "host.conf").write_text(text)
    _give_to_postgres(directory)
    return node


def initialise(
    node: PostgresNode,
    *,
    authentication: Authentication = "scram-sha-256",
    replication: bool = True,
    hba: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> None:
    """Run initdb (every cluster gets its own system identifier), write the settings, start."""
    _initdb(node)
    lines = [f"{k} = '{v}'" for k, v in {**_SETTINGS, **(settings or {})}.items()]
    with (node.data_directory / "postgresql.conf").open("a") as file:
        file.write("\n".join([*lines, "include_if_exists = '../host.conf'", ""]))
    rules = hba or _rules(authentication, replication)
    (node.data_directory / "pg_hba.conf").write_text("\n".join([*rules, ""]))
    node.start()
    for name, path in node.tablespaces.items():
        node.psql(f"CREATE TABLESPACE {name} LOCATION '{path}'")


def _initdb(node: PostgresNode) -> None:
    secret = node.directory / "password"
    secret.write_text(node.password)
    _give_to_postgres(secret)
    node.tool(
        "initdb",
        "-D",
        node.data_directory,
        "-U",
        "postgres",
        "--pwfile",
        secret,
        "--data-checksums",
        "--no-sync",
        "-E",
        "UTF8",
        "--locale",
        "C.UTF-8",
    )
    secret.unlink()


def _rules(authentication: Authentication, replication: bool) -> list[str]:
    local = "trust" if authentication == "trust" else "peer"
    rules = [f"local all all {local}", f"host all all 127.0.0.0/8 {authentication}"]
    if replication:
        rules += [
            f"local replication all {local}",
            f"host replication all 127.0.0.0/8 {authentication}",
        ]
    return rules


def _give_to_postgres(path: Path) -> None:
    for each in (path, *path.rglob("*")):
        shutil.chown(each, "postgres", "postgres")
