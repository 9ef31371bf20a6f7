"""An Orchestrator moves to another machine: systemd, Debian's PostgreSQL, nothing shared."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.lab import orchestrator, podman, processes
from tests.lab.machine import Machine
from tests.lab.machine_postgres import UNIT, MachinePostgres
from tests.lab.machines import MachinesLab
from tests.laws import inventory
from tests.laws.driver import Runner
from tests.laws.orchestrator_restore.judged import BEFORE
from tests.laws.orchestrator_scene import SECRET
from tests.laws.outcome import Outcome

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

HOME = "/home/orchestrator"
PROGRAM = f"{HOME}/orchestrator-cli"
CONFIG = f"{HOME}/cluster.conf"
ASSETS = f"{HOME}/assets"
"""What a deploy with a release has refreshed."""

OF_A_PACKAGE, BY_HAND = "orchestrator-web", "orchestrator-chef"
UNITS = {OF_A_PACKAGE: "/lib/systemd/system", BY_HAND: "/etc/systemd/system"}
"""Services of the old one, each with the folder of its unit."""

DOWN = {
    OF_A_PACKAGE: "masked inactive",
    BY_HAND: "disabled inactive",
    UNIT: "masked inactive",
    "processes": "",
    "port": "ECONNREFUSED",
}
"""What is seen of the old one when it is retired: a unit of a person's own cannot be masked."""

_UNIT = """[Service]
ExecStart=/bin/sleep infinity
Restart=always
[Install]
WantedBy=multi-user.target
"""
_BOOT = """set -eu
cat /proc/sys/kernel/random/uuid >/run/boot_id
mount --bind /run/boot_id /proc/sys/kernel/random/boot_id
"""


@dataclass(frozen=True)
class Move:
    """The old machine, a backup of it, and the new machine as its image has it."""

    lab: MachinesLab
    old: MachinePostgres
    new: MachinePostgres
    base: Path
    backup: str = ""

    def back_up(self) -> str:
        """Take a backup, with the old one as the node of the cluster; give its id."""
        outcome = self._run("orchestrator-backup", self.old, {})
        assert outcome.completed, outcome.said
        (record,) = self.base.glob("store/*/orchestrator/*/orchestrator.json")
        return record.parent.name

    def restore(self) -> Outcome:
        """Restore the newest backup, with the new one as the node of the cluster."""
        services = [{"kind": "systemd", "unit": unit} for unit in UNITS]
        previous = {**server(self.old), "services": services}
        named = {"previous": previous}
        return self._run("orchestrator-restore", self.new, named, new_address=True)

    def _run(
        self, procedure: str, node: MachinePostgres, named: dict[str, Any], **arguments: Any
    ) -> Outcome:
        name = f"moved-{self.lab.name}"
        cluster = {
            "nodes": [server(node)],
            "backups": {"store": "store"},
            "orchestrator": {"store": "store", "program": PROGRAM, **named},
        }
        path = inventory.write(self.base, inventory.of_one(name, cluster, self.base))
        runner = Runner(path, self.base / "state", timeout=300, log=self.base / "told")
        return runner.run(procedure, cluster=name, **arguments)


def server(node: MachinePostgres) -> dict[str, Any]:
    """Give a machine's server as an inventory has it, without repmgr."""
    return {name: value for name, value in inventory.machine(node).items() if name != "repmgr"}


@pytest.fixture(scope="module")
def move(machines_lab: MachinesLab, tmp_path_factory: pytest.TempPathFactory) -> Move:
    old, new = (machine(machines_lab, name) for name in ("orchm-old", "orchm-new"))
    orchestrator.fill(old)
    put(old, CONFIG, orchestrator.CONFIGURATION % {"access": SECRET, "secret": SECRET})
    for unit, folder in UNITS.items():
        old.machine.run(["tee", f"{folder}/{unit}.service"], stdin=_UNIT)
    old.machine.run(["systemctl", "daemon-reload"])
    old.machine.run(["systemctl", "enable", "-q", "--now", *UNITS])
    database = orchestrator.DATABASE
    new.psql(f"CREATE ROLE {database} LOGIN CREATEDB")
    new.psql(f"CREATE DATABASE {database} OWNER {database}")
    new.psql("CREATE TABLE as_delivered (n int)", database=database)
    move = Move(machines_lab, old, new, tmp_path_factory.mktemp("move"))
    return replace(move, backup=move.back_up())


def machine(lab: MachinesLab, name: str) -> MachinePostgres:
    """Give a machine with PostgreSQL, the program, and the user of it."""
    node = lab.postgres(name)
    booted(node.machine)
    node.machine.run(["useradd", "--create-home", "--shell", "/bin/bash", "orchestrator"])
    program = orchestrator.install(node, node.machine.directory)
    put(node, PROGRAM, program.read_text(), mode="0755")
    return node


def put(node: MachinePostgres, path: str, text: str, *, mode: str = "0600") -> None:
    """Put a file of the program's user onto a machine."""
    argv = ("install", "-o", "orchestrator", "-m", mode, "/dev/stdin", path)
    node.machine.run(argv, stdin=text)


def booted(machine: Machine) -> None:
    """Let a machine have a boot id of its own, as a VM does: a container has its host's."""
    asked = ("inspect", "--format", "{{.State.Pid}}", machine.container)
    process = podman.podman(*asked).stdout.decode().strip()
    processes.run(["nsenter", "-t", process, "-m", "sh", "-c", _BOOT])


def rebooted(machine: Machine) -> None:
    """Pull the plug, and put it back."""
    with machine.off():
        pass
    booted(machine)


def told(node: MachinePostgres, *command: str) -> str:
    """Give what a command on a machine tells, however it ends."""
    return node.machine.run(command, check=False).stdout.strip()


def lives(old: MachinePostgres) -> bool:
    """Judge whether all of the old one runs."""
    return told(old, "systemctl", "is-active", *UNITS, UNIT).split() == ["active"] * 3


def seen(old: MachinePostgres) -> dict[str, str]:
    """Tell how each unit of the old one is, which processes it has, and who is at its port."""
    enabled, active = (
        told(old, "systemctl", word, *UNITS, UNIT).split() for word in ("is-enabled", "is-active")
    )
    units = {
        unit: f"{first} {second}"
        for unit, first, second in zip((*UNITS, UNIT), enabled, active, strict=True)
    }
    running = told(old, "pgrep", "-fa", "bin/postgres|sleep infinity")
    with socket.socket() as knock:
        knock.settimeout(30)
        answer = knock.connect_ex((old.machine.address, old.port))
    return {**units, "processes": running, "port": errno.errorcode.get(answer, "open")}


def test_an_old_machine_without_power_is_not_taken_for_retired(move: Move) -> None:
    """It comes back by itself, with all that runs there."""
    with move.old.machine.off():
        refused = move.restore()
    booted(move.old.machine)
    assert refused.ended == "CheckFailed", refused.said
    assert "cannot be taken out of service: nobody answers there" in refused.said
    assert refused.commands == []
    assert told(move.new, "ls", HOME) == "orchestrator-cli"
    processes.until(lambda: lives(move.old), "the old one lives again", within=120)


def test_an_orchestrator_moves_and_the_old_one_stays_down_when_its_machine_starts_again(
    move: Move,
) -> None:
    old, new = move.old, move.new
    kept = orchestrator.fingerprint(old)
    assert lives(old)
    done = move.restore()
    assert done.completed, done.said
    assert seen(old) == DOWN
    assert orchestrator.fingerprint(new) == kept
    assert told(new, "cat", CONFIG) == told(old, "cat", CONFIG)
    assert told(new, "ls", f"{HOME}/pg-runbooks") == ""
    there = "SELECT to_regclass('as_delivered') IS NOT NULL"
    assert new.psql(there, database=f"{BEFORE}{move.backup}") == "t"
    again = move.restore()
    assert (again.completed, again.changed) == (True, 0), (again.said, again.commands)
    new.machine.run(["rm", ASSETS])
    for node in (old, new):
        rebooted(node.machine)
    processes.until(new.is_running, "PostgreSQL starts with the new machine", within=120)
    assert seen(old) == DOWN
    refreshed = move.restore()
    assert refreshed.completed, refreshed.said
    assert told(new, "cat", ASSETS) == orchestrator.RELEASE
    assert orchestrator.fingerprint(new) == kept
    assert seen(old) == DOWN
    goes_back(old, new)
    assert orchestrator.fingerprint(old) == kept


def goes_back(old: MachinePostgres, new: MachinePostgres) -> None:
    """Let the old one live again, as the page says."""
    for word in ("stop", "mask"):
        new.machine.run(["systemctl", word, new.unit])
    for word in ("unmask", "enable", "start"):
        old.machine.run(["systemctl", word, *UNITS, UNIT])
    assert lives(old)
