"""PostgreSQL on a machine as in an a9s-pg deployment: monit runs it, and repmgrd beside it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab import processes
from tests.lab.machine import Machine, provision
from tests.lab.machine_postgres import MachinePostgres
from tests.lab.postgres import PASSWORD

FILES = Path(__file__).with_name("a9s")
JOB = Path("/var/vcap/jobs/postgresql-ha")
STARTUP_LOCKS = Path("/tmp/postgresql-startup-locks")

_REGISTER = """
. /var/vcap/jobs/postgresql-ha/helpers/vars.sh
. /var/vcap/jobs/postgresql-ha/helpers/repmgr_utils.sh
register_master_node
"""


@dataclass(frozen=True)
class A9sPostgres(MachinePostgres):
    """A node of an a9s-pg cluster; `unit` is monit's process."""

    unit: str = "postgresql-ha"
    data_directory: Path = Path("/var/vcap/store/postgresql15")
    log: Path = Path("/var/vcap/sys/log/postgresql-ha/postgresql.log")
    repmgr_configuration: Path = JOB / "config" / "repmgr.conf"

    def monit(self, *arguments: str, check: bool = True) -> str:
        """Run monit as root; return what it printed."""
        return self.machine.run(["monit", *arguments], check=check).stdout

    def status(self, process: str = "postgresql-ha") -> str:
        """Return monit's word for a process, such as `OK` or `Not monitored - start pending`.

        Empty while monit gives no answer.
        """
        lines = self.monit("status", process, check=False).splitlines()
        words = (line.split(maxsplit=1)[1] for line in lines if line.startswith("  status "))
        return next(words, "")

    def start(self) -> None:
        self.monit("start", self.unit)
        processes.until(self.is_running, f"{self.name} answers", within=60)

    def stop(self) -> None:
        self.monit("stop", self.unit)
        processes.until(lambda: not self._has("postgres"), f"{self.name} has stopped", within=60)

    def is_running(self) -> bool:
        ask = ("psql", "-XAtqc", "SELECT 1")
        return self.machine.run(ask, user="postgres", check=False).returncode == 0

    def repmgrd_runs(self) -> bool:
        """Tell whether repmgr's daemon is at work, whatever monit says."""
        return self._has("repmgrd")

    def settled(self) -> None:
        """Wait until monit runs PostgreSQL and repmgrd, and has nothing else to do."""

        def all_well() -> bool:
            return self.repmgrd_runs() and {self.status(), self.status("repmgr")} == {"OK"}

        processes.until(all_well, f"{self.name} is whole", within=60)

    def _has(self, command: str) -> bool:
        return self.machine.run(["pgrep", "-x", command], check=False).returncode == 0


def create_cluster(machines: Sequence[Machine], network: str) -> tuple[A9sPostgres, ...]:
    """Make a repmgr cluster: the first node made by initdb, the others cloned by their pre-start.

    The standbys register themselves when monit has started them.
    """
    nodes = tuple(A9sPostgres(machine) for machine in machines)
    for index, node in enumerate(nodes):
        _set_up(node, index, " ".join(each.machine.address for each in nodes), network)
        processes.until(node.is_running, f"monit has started {node.name}", within=60)
        if index == 0:
            node.psql("CREATE ROLE repmgr SUPERUSER LOGIN")
            node.psql("CREATE DATABASE repmgr_cluster OWNER repmgr")
            node.machine.run(["bash", "-c", _REGISTER], user="postgres")
    for node in nodes:
        node.settled()
    return nodes


def _set_up(node: A9sPostgres, index: int, peers: str, network: str) -> None:
    machine = node.machine
    shutil.copytree(FILES, machine.directory / FILES.name)
    files = f"/opt/lab/shared/{machine.name}/{FILES.name}"
    script = f'sh "{files}/setup.sh" "$@"'
    arguments = (files, str(index), machine.address, peers, network, PASSWORD)
    provision(machine, script, *arguments)
