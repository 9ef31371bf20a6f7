"""Containers after a repointing: made anew with the new address, under their own policy."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runbook.apps import App
from tests.contract.repoint.scene import NEW, OLD, SECRET, Site, run_apart
from tests.lab.application import IMAGE
from tests.lab.machine import Machine, provision
from tests.lab.machines import MachinesLab

pytestmark = pytest.mark.lab

FILE = "/opt/apio/docker-compose.yml"
_INSTALL = """
set -eu
systemctl enable -q --now containerd.service docker.socket docker.service
docker import -c 'ENV PATH=/bin' /opt/lab/app.tar "$1" >/dev/null
mkdir -p /opt/apio
"""
_COMPOSE = f"""\
version: "3.7"
services:
  core:   # as the page has it
    image: {IMAGE}
    restart: always
    init: true
    environment:
      DATABASE_URL: "postgresql://apio:{SECRET}@{OLD}:5432/apio"
    command: [sleep, "100000"]
    volumes: ["data:/data"]
  gateway:
    image: {IMAGE}
    restart: unless-stopped
    init: true
    environment: ["DB_HOST=${{DB_HOST}}"]
    command: [sleep, "100000"]
volumes: {{data: {{}}}}
"""


@dataclass
class Engine:
    """A machine with Docker and the project."""

    machine: Machine
    site: Site

    def app(self, **managed: Any) -> App:
        return App.model_validate(
            {
                "name": "apio",
                "host": {"name": self.machine.name, "way": self.machine.way()},
                "managed_by": {"kind": "docker-compose", "file": FILE, **managed},
                "database": [
                    {"service": "core", "variable": "DATABASE_URL"},
                    {"service": "gateway", "variable": "DB_HOST"},
                ],
            }
        )

    def write(self, address: str) -> None:
        """Put the files back as they are before a promotion, or after it."""
        self.machine.run(["sh", "-c", "rm -f /opt/apio/*.bak /opt/apio/.env.*"])
        self.machine.run(["tee", FILE], stdin=_COMPOSE.replace(OLD, address))
        self.machine.run(["tee", "/opt/apio/.env"], stdin=f"DB_HOST={address}\n")

    def compose(self, *words: str) -> str:
        return self.machine.run(["docker-compose", "-f", FILE, *words], timeout=120).stdout

    def seen(self) -> dict[str, tuple[bool, str, str]]:
        """Give of every service whether it runs, its policy, and the address it was made with."""
        found = {}
        for service in ("core", "gateway"):
            (container,) = self.compose("ps", "-q", service).split()
            one = json.loads(self.machine.run(["docker", "inspect", container]).stdout)[0]
            (value,) = (v for v in one["Config"]["Env"] if v.startswith(("DATABASE_URL", "DB_")))
            policy = one["HostConfig"]["RestartPolicy"]["Name"]
            address = NEW if NEW in value else OLD if OLD in value else value
            found[service] = (one["State"]["Running"], policy, address)
        return found


WANTED = {"core": (True, "always", NEW), "gateway": (True, "unless-stopped", NEW)}


@pytest.fixture(scope="module")
def machine(machines_lab: MachinesLab) -> Machine:
    machine = machines_lab.machine("repointapp", engine=True)
    provision(machine, _INSTALL, IMAGE)
    return machine


@pytest.fixture
def engine(machine: Machine, tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(machine, Site([], tmp_path))
    engine.write(OLD)
    engine.compose("up", "-d", "--force-recreate")
    yield engine
    assert SECRET not in engine.site.records()


def test_containers_are_made_anew_with_the_address_and_the_policy_of_the_file(
    engine: Engine,
) -> None:
    engine.site.promote([engine.app()])
    assert engine.seen() == WANTED
    assert engine.site.promote([engine.app()]).changed == 0


@pytest.mark.parametrize("before", [5, 7])
def test_a_promotion_that_dies_before_the_containers_are_made_is_finished(
    engine: Engine, before: int
) -> None:
    run_apart(engine.site, [engine.app()], before, signal.SIGKILL, whole=True)
    assert not any(running for running, _, _ in engine.seen().values())
    engine.site.promote([engine.app()])
    assert engine.seen() == WANTED


def test_containers_that_were_made_before_the_files_changed_by_hand_are_made_anew(
    engine: Engine,
) -> None:
    engine.write(NEW)
    assert engine.seen() != WANTED
    assert engine.site.promote([engine.app()]).changed == 1
    assert engine.seen() == WANTED


def test_volumes_are_removed_only_where_the_settings_say_so(engine: Engine) -> None:
    def volumes() -> list[str]:
        return engine.machine.run(["docker", "volume", "ls", "-q"]).stdout.split()

    mark = ["docker", "run", "--rm", "-v", "apio_data:/data", IMAGE, "touch", "/data/mark"]
    engine.machine.run(mark)
    look = [*mark[:-2], "test", "-e", "/data/mark"]
    engine.site.promote([engine.app()])
    assert engine.machine.run(look, check=False).returncode == 0
    engine.write(OLD)
    result = engine.site.promote([engine.app(remove_volumes=True)])
    assert "down -v" in " ".join(engine.site.told) + result.plan.markdown()
    assert engine.machine.run(look, check=False).returncode == 1
    assert "apio_data" in volumes()
    assert engine.seen() == WANTED
