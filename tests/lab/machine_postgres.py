"""PostgreSQL 15 under systemd on a machine, as Debian's package runs it; and repmgr on it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.machine import Machine, provision
from tests.lab.postgres import BIN_DIRECTORY, PASSWORD
from tests.lab.repmgr import await_stream

UNIT = "postgresql@15-main"
REPMGR = "/etc/repmgr.conf"

_CREATE = """
set -eu
echo "$1" >/tmp/password
chown postgres /tmp/password
pg_createcluster 15 main -- --data-checksums --no-sync --pwfile /tmp/password >/dev/null
rm /tmp/password
cat /opt/lab/shared/"$2"/lab.conf >/etc/postgresql/15/main/conf.d/lab.conf
cat >/etc/postgresql/15/main/pg_hba.conf <<END
local all all peer
local replication all peer
host all repmgr $3 trust
host replication repmgr $3 trust
host all all $3 scram-sha-256
host replication all $3 scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
END
systemctl daemon-reload
[ "$4" = start ] && systemctl start postgresql@15-main
true
"""

_SETTINGS = {
    "listen_addresses": "*",
    "wal_level": "replica",
    "wal_log_hints": "on",
    "fsync": "off",
    "shared_buffers": "32MB",
    "log_statement": "all",
    "shared_preload_libraries": "repmgr",
}

_REPMGR = """\
node_id = {number}
node_name = '{machine.name}'
conninfo = 'host={machine.address} port=5432 user=repmgr dbname=repmgr connect_timeout=2'
data_directory = '{node.data_directory}'
config_directory = '/etc/postgresql/15/main'
pg_bindir = '{node.bin_directory}'
use_replication_slots = yes
ssh_options = '-q -o ConnectTimeout=10 -o StrictHostKeyChecking=yes'
service_start_command = 'sudo systemctl start {unit}'
service_stop_command = 'sudo systemctl stop {unit}'
service_restart_command = 'sudo systemctl restart {unit}'
service_reload_command = 'sudo systemctl reload {unit}'
"""


@dataclass(frozen=True)
class MachinePostgres:
    """PostgreSQL on a machine, in Debian's places, under systemd."""

    machine: Machine
    port: int = 5432
    password: str = PASSWORD
    unit: str = UNIT
    bin_directory: Path = BIN_DIRECTORY
    data_directory: Path = Path("/var/lib/postgresql/15/main")
    socket_directory: Path = Path("/var/run/postgresql")
    log: Path = Path("/var/log/postgresql/postgresql-15-main.log")
    repmgr_configuration: Path = Path(REPMGR)

    @property
    def name(self) -> str:
        return self.machine.name

    def conninfo(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return a libpq connection string over the machine's address, password included."""
        return (
            f"host={self.machine.address} port={self.port} dbname={database} user={user} "
            f"password={self.password} connect_timeout=5"
        )

    def psql(self, sql: str, *, database: str = "postgres") -> str:
        """Run SQL statements on the machine; return unaligned rows, fields split by |."""
        argv = ("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", database)
        return self.machine.run(argv, user="postgres", stdin=sql).stdout.rstrip("\n")

    def start(self) -> None:
        self.machine.run(["systemctl", "start", self.unit])

    def stop(self) -> None:
        self.machine.run(["systemctl", "stop", self.unit])

    def is_running(self) -> bool:
        done = self.machine.run(["systemctl", "is-active", self.unit], check=False)
        return done.stdout.strip() == "active"

    def repmgr(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run repmgr as postgres on the machine."""
        argv = ("repmgr", "-f", str(self.repmgr_configuration), *arguments)
        return self.machine.run(argv, user="postgres", check=check, timeout=180)


def create_postgres(
    machine: Machine, *, network: str, settings: Mapping[str, str], start: bool
) -> MachinePostgres:
    """Make Debian's cluster 15-main with a system identifier of its own; start it if asked."""
    lines = [f"{key} = '{value}'\n" for key, value in {**_SETTINGS, **settings}.items()]
    (machine.directory / "lab.conf").write_text("".join(lines))
    wanted = "start" if start else "leave"
    provision(machine, _CREATE, PASSWORD, machine.name, network, wanted)
    return MachinePostgres(machine)


def register(nodes: tuple[MachinePostgres, ...]) -> None:
    """Make a repmgr cluster: the first node primary, the others cloned, started, registered."""
    first, *others = nodes
    for number, node in enumerate(nodes, start=1):
        text = _REPMGR.format(number=number, node=node, machine=node.machine, unit=node.unit)
        node.machine.run(["tee", REPMGR], stdin=text)
    first.psql("CREATE ROLE repmgr SUPERUSER LOGIN; CREATE DATABASE repmgr OWNER repmgr;")
    first.repmgr("primary", "register")
    for node in others:
        node.machine.run(["find", str(node.data_directory), "-mindepth", "1", "-delete"])
        source = ("-h", first.machine.address, "-U", "repmgr", "-d", "repmgr")
        node.repmgr(*source, "standby", "clone", "--fast-checkpoint")
        node.start()
        await_stream(first.psql, node.name)
        node.repmgr("standby", "register", "--wait-sync=30")
