"""A systemd unit is held down and let go again, wherever its file lies."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from runbook.hosts import Command
from runbook.postgres import Node
from runbook.services import Systemd
from tests.lab.machine import Machine
from tests.lab.machines import MachinesLab
from tests.laws import inventory

pytestmark = pytest.mark.lab

OWN = "/etc/systemd/system"
_UNIT = """[Service]
ExecStart=/bin/sleep 1000
Restart=always
RestartSec=100ms
[Install]
WantedBy=multi-user.target
"""


@dataclass
class Unit:
    """A server's unit on a machine."""

    machine: Machine
    node: Node
    name: str

    @property
    def service(self) -> Systemd:
        assert isinstance(self.node.service, Systemd)
        return self.node.service

    def perform(self, commands: Sequence[Command]) -> None:
        for command in commands:
            self.node.host.run(command)

    def is_held(self) -> bool:
        return self.node.host.attempt(self.service.held(self.node)).exit_code == 0

    def systemctl(self, *words: str) -> int:
        return self.machine.run(["systemctl", *words, self.name], check=False).returncode

    def runs(self) -> bool:
        return self.systemctl("is-active", "-q") == 0


@pytest.fixture(scope="module")
def machine(machines_lab: MachinesLab) -> Machine:
    return machines_lab.machine("systemd1")


@pytest.fixture(
    params=[
        ("/usr/lib/systemd/system/pgpack.service", "pgpack"),
        (f"{OWN}/pgown.service", "pgown"),
        (f"{OWN}/pgmade@.service", "pgmade@16-main.service"),
    ],
    ids=["packaged", "own", "template"],
)
def unit(request: pytest.FixtureRequest, machine: Machine) -> Iterator[Unit]:
    path, name = request.param
    machine.run(["tee", path], stdin=_UNIT)
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "enable", "-q", "--now", name])
    host = inventory.host(machine)
    service = {"kind": "systemd", "unit": name}
    node = Node.model_validate({"name": "one", "host": host, "service": service})
    yield Unit(machine, node, name)
    machine.run(["systemctl", "disable", "-q", "--now", name])
    machine.run(["rm", path])
    node.host.way.close()


def test_a_unit_is_held_down_and_let_go_wherever_its_file_lies(unit: Unit) -> None:
    files = unit.machine.run(["find", OWN]).stdout
    assert not unit.is_held()
    unit.perform(unit.service.stopping(unit.node))
    unit.perform(unit.service.hold(unit.node))
    assert unit.is_held()
    assert unit.systemctl("start") != 0
    unit.machine.run(["systemctl", "daemon-reexec"])
    assert unit.systemctl("restart") != 0
    assert not unit.runs()

    unit.perform(unit.service.release(unit.node))
    unit.perform(unit.service.release(unit.node))
    assert not unit.is_held()
    assert not unit.runs()
    unit.perform(unit.service.start(unit.node))
    assert unit.runs()
    assert unit.machine.run(["find", OWN]).stdout == files


def test_a_unit_that_is_held_while_it_runs_does_not_come_back(unit: Unit) -> None:
    unit.perform(unit.service.hold(unit.node))
    unit.machine.run(["pkill", "-KILL", "-f", "[s]leep 1000"])
    time.sleep(1)
    assert not unit.runs()
    assert unit.is_held()
    unit.perform((*unit.service.release(unit.node), *unit.service.start(unit.node)))
    assert unit.runs()
