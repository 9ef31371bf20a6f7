"""Applications under compose as the plugin speaks, and containers that are not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from runbook import step
from runbook.approval import Nobody
from runbook.apps import App
from runbook.cluster import Backups, Cluster
from runbook.drive import Driver, Order, Result
from runbook.errors import CheckFailed
from runbook.health import looks
from runbook.health.finding import Level
from runbook.postgres import Node
from runbook.watch import LogWatcher
from tasks import apps, health, repoint
from tests.lab.application import IMAGE
from tests.lab.machine import Machine, provision
from tests.lab.machines import MachinesLab
from tests.lab.processes import until

pytestmark = pytest.mark.lab

FILE = "/opt/shop/docker-compose.yml"
_INSTALL = """
set -eu
systemctl enable -q --now containerd.service docker.socket docker.service
docker import -c 'ENV PATH=/bin' /opt/lab/app.tar "$1" >/dev/null
mkdir -p /opt/shop
usermod -aG docker postgres
"""
_COMPOSE = f"""\
version: "3.7"
services:
  web:
    image: {IMAGE}
    restart: always
    init: true
    command: [sleep, "100000"]
  worker:
    image: {IMAGE}
    restart: unless-stopped
    init: true
    command: [sleep, "100000"]
"""
_JOB = f"""\
  job:
    image: {IMAGE}
    restart: on-failure
    command: [sh, -c, "exit $$(cat /end/code)"]
    volumes: ["/opt/shop:/end"]
"""
_HEAD, _, _ = _COMPOSE.partition("  web:")
_ENDS_WELL = f"""\
  web:
    image: {IMAGE}
    restart: on-failure
    command: [sh, -c, "trap 'exit 0' TERM; sleep 100000 & wait"]
"""

# The plugin's `ps` lists running containers only, and none of `run`, unless it is given -a.
_PLUGIN = """#!/bin/bash
for word; do
  case $word in ps) asked=yes;; -a|--all) all=yes;; esac
done
if [ -z "$asked" ] || [ -n "$all" ]; then exec docker-compose "$@"; fi
set -o pipefail
docker-compose "$@" | while read -r id; do
  label='{{index .Config.Labels "com.docker.compose.oneoff"}}'
  docker inspect -f "{{.State.Running}} $label {{.Id}}" "$id"
done | sed -n 's/^true False //p'
"""


# Removes every one-off at the moment when restart policies are held down, as `run --rm` may.
_HASTY = """#!/bin/sh
if [ "$1" = update ]; then
  docker rm -f $(docker ps -q -f label=com.docker.compose.oneoff=True) >/dev/null 2>&1
fi
exec docker "$@"
"""


@dataclass
class Shop:
    """The project on a machine, and runs that stop and start it."""

    machine: Machine
    directory: Path
    user: str = ""
    engine: str = "docker"

    @property
    def app(self) -> App:
        managed = {"kind": "docker-compose", "file": FILE, "program": ["compose-plugin"]}
        managed |= {"user": self.user, "engine": [self.engine]}
        host = {"name": self.machine.name, "way": self.machine.way()}
        return App.model_validate({"name": "shop", "host": host, "managed_by": managed})

    def run(self, *, start: bool | Callable[[], None]) -> Result:
        body = start if callable(start) else partial(_body, self.app, start=start)
        driver = Driver(self.directory, Nobody(), LogWatcher())
        return driver.run(Order("test", "", {}, body, tuple))

    def plan(self, start: Callable[[], None] | None = None) -> str:
        """Plan the start; nothing changes."""
        body = start or partial(_body, self.app, start=True)
        driver = Driver(self.directory, Nobody(), LogWatcher())
        return driver.dry_run(Order("test", "", {}, body, tuple)).plan.markdown()

    def compose(self, *words: str) -> None:
        self.machine.run(["docker-compose", "-f", FILE, *words], timeout=120)

    def seen(self) -> list[str]:
        """Give of every container whether it runs, and its policy; one-offs too."""
        ids = self.machine.run(["docker", "ps", "-a", "-q"]).stdout.split()
        found = json.loads(self.machine.run(["docker", "inspect", *ids]).stdout)
        return sorted(
            f"{'runs' if one['State']['Running'] else 'stands'} "
            f"{one['HostConfig']['RestartPolicy']['Name']}"
            for one in found
        )


def _promoted(app: App) -> None:
    with step("1", "Applications"):
        repoint.recreate([app], "10.0.0.2")


def _given_back(app: App) -> None:
    with step("1", "Applications"):
        apps.given_back(app, within=60)


def _is_healthy(app: App) -> None:
    host = {"name": "nobody", "way": {"kind": "local"}}
    node = Node.model_validate({"name": "none", "host": host, "port": 1})
    cluster = Cluster(name="shop", nodes=(node,), apps=(app,), backups=Backups(store="none"))
    with step("1", "Health"):
        health.cluster_is_healthy(cluster, within=0)


def _body(app: App, *, start: bool) -> None:
    with step("1", "Applications"):
        if start:
            apps.start([app])
        else:
            apps.stop([app], unless=lambda: False)


@pytest.fixture(scope="module")
def machine(machines_lab: MachinesLab) -> Machine:
    machine = machines_lab.machine("composeapp", engine=True)
    provision(machine, _INSTALL, IMAGE)
    machine.run(["tee", "/usr/local/bin/compose-plugin"], stdin=_PLUGIN)
    machine.run(["chmod", "755", "/usr/local/bin/compose-plugin"])
    return machine


@pytest.fixture
def shop(machine: Machine, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(machine, tmp_path)
    machine.run(["tee", FILE], stdin=_COMPOSE)
    shop.compose("up", "-d", "-t", "1")
    yield shop
    shop.compose("down", "-t", "1", "--remove-orphans")


RUNS = ["runs always", "runs unless-stopped"]


def test_what_has_stopped_is_held_down_and_started_under_its_policies(shop: Shop) -> None:
    shop.compose("run", "web", "true")  # leaves a one-off that has ended
    shop.compose("kill", "worker")  # which a restart of the daemon would start
    assert shop.run(start=False).changed == 2
    assert shop.seen() == ["stands no"] * 3
    assert shop.run(start=True).changed == 2
    assert shop.seen() == [*RUNS, "stands no"]
    assert shop.run(start=True).changed == 0


def test_what_a_person_has_started_beside_the_services_is_stopped_as_well(shop: Shop) -> None:
    shop.compose("run", "-d", "web", "sleep", "100000")  # a migration, a console
    assert shop.run(start=False).changed == 2
    assert shop.seen() == ["stands no"] * 3
    assert shop.run(start=False).changed == 0
    assert shop.run(start=True).changed == 2
    assert shop.seen() == [*RUNS, "stands no"], "nobody starts it again"


def test_what_ends_and_is_removed_while_policies_are_held_down_stops_no_run(shop: Shop) -> None:
    shop.machine.run(["tee", "/usr/local/bin/hasty"], stdin=_HASTY)
    shop.machine.run(["chmod", "755", "/usr/local/bin/hasty"])
    shop.compose("run", "-d", "web", "sleep", "100000")
    shop.engine = "hasty"
    assert shop.run(start=False).changed == 2
    assert shop.seen() == ["stands no"] * 2


def test_containers_that_were_removed_are_told_with_the_way_on(shop: Shop) -> None:
    shop.compose("down", "-t", "1")
    shop.user = "postgres"
    with pytest.raises(CheckFailed, match="containers to start") as refused:
        shop.run(start=True)
    lines = refused.value.hint.partition(": ")[2].partition(". Then")[0]
    assert lines.startswith("runuser -u postgres -- "), "the user of the settings"
    assert lines in shop.plan(), "the plan tells it already"
    assert lines in shop.plan(partial(_promoted, shop.app)), "that of a promotion, too"
    shop.machine.run(["sh", "-c", lines], timeout=120)
    assert "NO CONTAINERS" not in shop.plan()
    assert shop.run(start=True).changed == 0
    assert shop.seen() == RUNS


def test_a_service_without_containers_is_scaled_to_nothing(shop: Shop) -> None:
    shop.compose("up", "-d", "-t", "1", "--scale", "worker=0")
    shop.run(start=False)
    assert shop.run(start=True).changed == 2
    assert shop.seen() == RUNS[:1]
    shop.compose("down", "-t", "1")
    scaled = _COMPOSE.replace("    init: true\n", "    init: true\n    deploy: {replicas: 0}\n")
    shop.machine.run(["tee", FILE], stdin=scaled)
    assert shop.run(start=True).changed == 0
    assert "NO CONTAINERS" not in shop.plan(), "there are to be none"


def test_a_job_that_has_done_its_work_is_not_started_again(shop: Shop) -> None:
    shop.machine.run(["tee", "/opt/shop/code"], stdin="0")
    shop.machine.run(["tee", FILE], stdin=_COMPOSE + _JOB)
    shop.compose("up", "-d", "-t", "1")
    until(lambda: shop.seen() == [*RUNS, "stands on-failure"], "the job has ended")
    assert shop.run(start=True).changed == 0
    assert shop.run(start=False).changed == 2
    assert shop.seen() == ["stands no"] * 3, "nothing starts it in between"
    assert shop.run(start=True).changed == 2
    until(lambda: shop.seen() == [*RUNS, "stands on-failure"], "the job has run again")
    assert shop.run(start=True).changed == 0
    shop.machine.run(["tee", "/opt/shop/code"], stdin="3")
    assert shop.run(start=False).changed == 2
    assert not shop.app.is_up()
    shop.compose("start")
    assert not shop.app.is_up(), "it fails, and is restarted"


def test_what_was_stopped_by_hand_is_not_taken_for_a_job_that_is_done(shop: Shop) -> None:
    shop.compose("down", "-t", "1")
    shop.machine.run(["tee", FILE], stdin=_HEAD + _ENDS_WELL)
    shop.compose("up", "-d")
    assert shop.app.is_up()
    shop.compose("stop")
    assert shop.seen() == ["stands on-failure"], "it has ended with 0"
    assert not shop.app.is_up()
    assert shop.run(start=True).changed == 2
    assert shop.seen() == ["runs on-failure"]
    shop.compose("down")
    shop.machine.run(["tee", "/opt/shop/code"], stdin="0")
    shop.machine.run(["tee", FILE], stdin=_HEAD + _JOB)
    shop.compose("up", "-d")
    until(lambda: shop.seen() == ["stands on-failure"], "the job has ended")
    assert shop.run(start=True).changed == 2, "a start does not wait for what has done its work"


def test_an_application_of_jobs_alone_ends_no_runbook_in_error(shop: Shop) -> None:
    """Started again by a promotion and by its way back; done in the health check at the end."""
    shop.compose("down", "-t", "1")
    shop.machine.run(["tee", "/opt/shop/code"], stdin="0")
    shop.machine.run(["tee", FILE], stdin=_HEAD + _JOB)
    for start in (_promoted, _given_back):
        shop.compose("up", "-d")
        until(lambda: shop.seen() == ["stands on-failure"], "the job has ended")
        assert shop.run(start=False).changed == 2
        assert shop.run(start=partial(start, shop.app)).changed == 2
        until(lambda: shop.seen() == ["stands on-failure"], "the job has run again")
        shop.compose("down", "-t", "1")
    shop.compose("up", "-d")
    until(lambda: shop.seen() == ["stands on-failure"], "the job has ended")
    with pytest.raises(CheckFailed, match="writable nodes: none") as critical:
        shop.run(start=partial(_is_healthy, shop.app))
    assert "not all of it runs" not in str(critical.value.detail)
    assert [found.level for found in looks.containers([shop.app])] == [Level.CRITICAL], "strict"
