"""Machines: the old primary comes up as a second one; power fails while a standby is cloned."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab import processes
from tests.lab.machine_postgres import MachinePostgres
from tests.lab.machines import MachinesLab
from tests.laws import inventory
from tests.laws.driver import Runner
from tests.laws.outcome import Outcome, Point

pytestmark = pytest.mark.lab

CLUSTER = "rejoining"


@dataclass(frozen=True)
class Pair:
    """Two machines of a repmgr cluster, PostgreSQL in Debian's places, under systemd."""

    first: MachinePostgres
    second: MachinePostgres
    runner: Runner

    def run(self, procedure: str, **arguments: Any) -> Outcome:
        return self.runner.run(procedure, cluster=CLUSTER, **arguments)

    def follows(self, node: MachinePostgres, primary: MachinePostgres) -> bool:
        streams = "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'"
        in_recovery = node.psql("SELECT pg_is_in_recovery()") == "t"
        return in_recovery and primary.psql(streams) == node.name


@pytest.fixture(scope="module")
def pair(machines_lab: MachinesLab, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    base = tmp_path_factory.mktemp("machines")
    first, second = machines_lab.repmgr_cluster("rjm1", "rjm2")
    cluster = {
        "nodes": [server(node) for node in (first, second)],
        "backups": {"store": "store"},
    }
    path = inventory.write(base, inventory.of_one(CLUSTER, cluster, base))
    return Pair(first, second, Runner(path, base / "state", timeout=300))


def server(node: MachinePostgres) -> dict[str, Any]:
    found = inventory.machine(node)
    return {**found, "repmgr": {**found["repmgr"], "program": "/usr/bin/repmgr"}}


def unit(node: MachinePostgres) -> str:
    done = node.machine.run(["systemctl", "is-enabled", node.unit], check=False)
    return done.stdout.strip()


def test_an_old_primary_that_came_up_as_a_second_one_is_rewound_once_it_is_fenced(
    pair: Pair,
) -> None:
    old, new = pair.first, pair.second
    with new.machine.cut_off():
        old.psql("CREATE TABLE only_here AS SELECT 1 AS x")
        old.machine.kill()
    new.repmgr("standby", "promote")
    old.machine.start()
    old.start()
    processes.until(lambda: answers(old), "the old primary answers", within=60)
    refused = pair.run("rejoin", node=old.name)
    assert refused.ended == "Refused", refused.said
    assert "split brain" in refused.said
    old.machine.run(["systemctl", "mask", old.unit])  # fenced, and its power taken away
    old.machine.kill()
    old.machine.start()
    assert not old.is_running()
    killed = pair.run("rejoin", node=old.name, at=Point("5"))
    assert killed.ended == "killed", killed.said
    assert unit(old) == "masked"
    done = pair.run("rejoin", node=old.name)
    assert done.completed, done.said
    assert pair.follows(old, new)
    assert unit(old) != "masked"
    assert old.psql("SELECT to_regclass('only_here') IS NULL") == "t"
    assert kept(old) == ["main.diverged-1"]
    old.machine.kill()
    old.machine.start()
    old.start()
    processes.until(lambda: answers(old) and pair.follows(old, new), "it follows", within=60)
    assert pair.run("rejoin", node=old.name).changed == 0


def answers(node: MachinePostgres) -> bool:
    argv = ("psql", "-XAtqc", "SELECT 1")
    return node.machine.run(argv, user="postgres", check=False).returncode == 0


def kept(node: MachinePostgres) -> list[str]:
    listed = node.machine.run(["ls", str(node.data_directory.parent)]).stdout.split()
    return [name.rpartition("-")[0] for name in listed if name.startswith("main.diverged-")]


def test_a_standby_whose_machine_loses_power_while_it_is_cloned(pair: Pair) -> None:
    primary, lost = pair.second, pair.first
    settings = lost.machine.run(["cat", str(lost.repmgr_configuration)]).stdout
    slow = f"{settings}pg_basebackup_options = '--max-rate=4M'\n"
    lost.machine.run(["tee", str(lost.repmgr_configuration)], stdin=slow)
    lost.stop()
    halt = Point("4", transfer=True, signal=signal.SIGSTOP)
    running = pair.runner.start("standby-rebuild", cluster=CLUSTER, again=True, at=halt)
    running.halted()
    lost.machine.kill()
    running.send(signal.SIGCONT)
    lost.machine.start()
    ended = running.outcome(200)
    assert ended.cut_off or ended.ended == "CommandFailed", ended.said
    assert not lost.is_running()
    lost.machine.run(["tee", str(lost.repmgr_configuration)], stdin=settings)
    done = pair.run("standby-rebuild", again=True)
    assert done.completed, done.said
    assert pair.follows(lost, primary)
    clones = "SELECT count(*) FROM pg_stat_replication WHERE application_name LIKE 'clone of %'"
    assert primary.psql(clones) == "0"
    assert pair.run("standby-rebuild").changed == 0
