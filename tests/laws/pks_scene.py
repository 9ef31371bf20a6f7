"""Two complete installations, as PKS has them: a database and a SIP proxy in containers each."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import processes
from tests.lab.machine import Machine, provision
from tests.lab.machines import MachinesLab
from tests.laws import inventory
from tests.laws.driver import Runner
from tests.laws.outcome import Outcome

CLUSTER = "pks"
DATA = "/srv/pks/db"
INSIDE = "/var/lib/postgresql/data"

# The database's directory comes by a volume with a bind device, as on the page.
_COMPOSE = """\
version: "3.7"
services:
  pks-db:
    container_name: pks-db
    image: lab/pks
    user: postgres
    restart: always
    command: [postgres, -D, /var/lib/postgresql/data]
    ports: ["5432:5432"]
    volumes: ["pks-db:/var/lib/postgresql/data"]
  pks-sip:
    container_name: pks-sip
    image: lab/pks
    restart: always
    command: [httpd, -f, -p, "8080", -h, /srv/www]
    ports: ["8080:8080"]
    volumes: ["/srv/pks/www:/srv/www"]
volumes:
  pks-db:
    driver: local
    driver_opts: {type: none, o: bind, device: /srv/pks/db}
"""

_INSTALL = """
set -eu
systemctl enable -q --now containerd.service docker.socket docker.service
docker import -c 'ENV PATH=/usr/lib/postgresql/15/bin:/bin' /opt/lab/app.tar lab/pks >/dev/null
mkdir -p /srv/pks/www
install -d -m 700 -o postgres /srv/pks/db
echo ok >/srv/pks/www/health
docker run --rm -u postgres -v /srv/pks/db:/data lab/pks initdb -D /data -A trust --no-sync \
    >/dev/null
cat >>/srv/pks/db/postgresql.conf <<END
listen_addresses = '*'
fsync = off
autovacuum = off
shared_buffers = 32MB
END
printf '%s\\n' "$1" >>/srv/pks/db/postgresql.conf
"""


@dataclass(frozen=True)
class Installation:
    """One machine with Docker, PostgreSQL in pks-db, and a proxy in pks-sip."""

    machine: Machine

    @property
    def name(self) -> str:
        return self.machine.name

    def docker(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run docker on the machine."""
        return self.machine.run(("docker", *words), check=check, timeout=120)

    def psql(self, sql: str, *, check: bool = True) -> str:
        """Run SQL in the container; give unaligned rows, or what went wrong."""
        words = ("exec", "-i", "-u", "postgres", "pks-db", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1")
        done = self.docker(*words, "-c", sql, check=check)
        return done.stdout.strip() if done.returncode == 0 else done.stderr.strip()

    def inspect(self, container: str) -> tuple[bool, str]:
        """Give whether a container runs, and its restart policy."""
        seen = json.loads(self.docker("inspect", container).stdout)[0]
        return seen["State"]["Running"], seen["HostConfig"]["RestartPolicy"]["Name"]

    def listing(self) -> str:
        """Name every container, and the files beside the data."""
        names = self.docker("ps", "-a", "--format", "{{.Names}} {{.Image}}").stdout.split("\n")
        beside = self.machine.run(["ls", "-A", "/srv/pks"]).stdout
        return "\n".join(sorted(names)) + beside


@dataclass
class Scene:
    """Both installations, and the inventory of them."""

    first: Installation
    second: Installation
    base: Path
    max_rate: str = ""

    @property
    def runner(self) -> Runner:
        """Write the inventory as it is now and give the runner for it."""
        path = inventory.write(self.base, _inventory(self))
        return Runner(path, self.base / "state", timeout=400)

    def run(self, procedure: str, **arguments: Any) -> Outcome:
        """Run a procedure on the cluster."""
        return self.runner.run(procedure, cluster=CLUSTER, **arguments)

    def set_up(self, **arguments: Any) -> Outcome:
        """Run standby-setup."""
        return self.run("standby-setup", standby=self.second.name, replace=True, **arguments)


def build(lab: MachinesLab, base: Path) -> Scene:
    """Boot two machines and install both; the first must be restarted before it can replicate."""
    minimal = "wal_level = minimal\nmax_wal_senders = 0"
    first, second = (
        _install(lab.machine(name, engine=True), settings)
        for name, settings in (("pksa", minimal), ("pksb", ""))
    )
    first.psql("CREATE TABLE subscribers AS SELECT n FROM generate_series(1, 500) n")
    second.psql("CREATE TABLE own AS SELECT 1 AS n")
    return Scene(first, second, base)


def _install(machine: Machine, settings: str) -> Installation:
    provision(machine, _INSTALL, settings)
    machine.run(["tee", "/srv/pks/docker-compose.yml"], stdin=_COMPOSE)
    machine.run(["docker-compose", "-f", "/srv/pks/docker-compose.yml", "up", "-d"], timeout=120)
    made = Installation(machine)
    processes.until(lambda: made.psql("SELECT 1", check=False) == "1", "pks-db answers", within=60)
    return made


def _inventory(scene: Scene) -> dict[str, Any]:
    both = (scene.first, scene.second)
    cluster = {
        "nodes": [_node(one) for one in both],
        "apps": [_app(one) for one in both],
        "health": [
            {
                "name": f"proxy of {one.name}",
                "url": f"http://{one.machine.address}:8080/health",
                "contains": "ok",
                "within": 10,
            }
            for one in both
        ],
        "replication": {"user": "repuser"},
        "backups": {"store": "store", "max_rate": scene.max_rate},
    }
    return inventory.of_one(CLUSTER, cluster, scene.base)


def _node(one: Installation) -> dict[str, Any]:
    return {
        "name": one.name,
        "host": inventory.host(one.machine),
        "address": one.machine.address,
        "data_directory": DATA,
        "os_user": "root",
        "service": {"kind": "docker-container", "container": "pks-db", "data_directory": INSIDE},
    }


def _app(one: Installation) -> dict[str, Any]:
    return {
        "name": "sip",
        "host": inventory.host(one.machine),
        "health": [f"proxy of {one.name}"],
        "managed_by": {
            "kind": "docker-compose",
            "file": "/srv/pks/docker-compose.yml",
            "services": ["pks-sip"],
        },
    }
