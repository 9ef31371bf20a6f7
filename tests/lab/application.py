"""An application host: Docker and docker-compose on a machine, and a small app that writes."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab.machine import Machine, provision
from tests.lab.machine_postgres import MachinePostgres

IMAGE = "lab/shop"

_COMPOSE = """\
# The shop's application.
version: "3.7"
services:
  shop:
    image: {image}
    restart: always
    init: true
    environment:
      DATABASE_HOST: {database.machine.address}  # repointed after a promotion
      PGUSER: postgres
      PGPASSWORD: {database.password}
      PGCONNECT_TIMEOUT: "2"
    command:
      - sh
      - -c
      - |
        while true; do
            psql -h "$$DATABASE_HOST" -Xqc "INSERT INTO shop_visits DEFAULT VALUES" &&
                touch /tmp/ready
            sleep 0.2
        done
"""

_INSTALL = """
set -eu
systemctl enable -q --now containerd.service docker.socket docker.service
docker import -c 'ENV PATH=/usr/lib/postgresql/15/bin:/bin' /opt/lab/app.tar "$1" >/dev/null
mkdir -p /opt/shop
"""

_TABLE = """
CREATE TABLE IF NOT EXISTS shop_visits (
    id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())"""


@dataclass(frozen=True)
class Application:
    """A docker-compose project on a machine; its container writes rows to shop_visits."""

    machine: Machine
    database: MachinePostgres
    compose_file: Path = Path("/opt/shop/docker-compose.yml")
    service: str = "shop"
    container: str = "shop_shop_1"

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run docker-compose on the machine, over SSH."""
        argv = ("docker-compose", "-f", str(self.compose_file), *arguments)
        return self.machine.run(argv, check=check, timeout=120)

    def docker(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run docker on the machine, over SSH."""
        return self.machine.run(("docker", *arguments), check=check, timeout=120)

    def is_running(self) -> bool:
        listed = self.docker("ps", "--filter", f"name={self.container}", "--format", "{{.Names}}")
        return listed.stdout.strip() == self.container

    def visits(self) -> int:
        """Count the rows that the application has written."""
        return int(self.database.psql("SELECT count(*) FROM shop_visits"))


def install_application(machine: Machine, database: MachinePostgres) -> Application:
    """Start Docker on a machine, import the application's image, bring its project up."""
    database.psql(_TABLE)
    provision(machine, _INSTALL, IMAGE)
    application = Application(machine, database)
    text = _COMPOSE.format(image=IMAGE, database=database)
    machine.run(["tee", str(application.compose_file)], stdin=text)
    application.compose("up", "-d")
    return application
