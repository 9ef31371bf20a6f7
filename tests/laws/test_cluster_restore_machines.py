"""A whole cluster goes back on machines: systemd, Debian's places, Docker that restarts always."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lab import processes
from tests.lab.application import Application
from tests.lab.machine_postgres import MachinePostgres
from tests.lab.machines import MachinesLab
from tests.laws import inventory
from tests.laws.driver import Runner
from tests.laws.outcome import Point

pytestmark = pytest.mark.lab


def test_units_and_containers_are_held_down_until_every_node_is_back(
    machines_lab: MachinesLab, tmp_path: Path
) -> None:
    first, second = machines_lab.repmgr_cluster("crm1", "crm2")
    application = machines_lab.application("crmapp", first)
    runner = _runner(tmp_path, (first, second), application)
    taken = runner.run("base-backup", cluster="crm")
    assert taken.completed, taken.said
    first.psql("CREATE TABLE written_later (x int)")

    stopped = runner.run("cluster-restore", cluster="crm", at=Point("6"))
    assert stopped.ended == "killed", stopped.said
    assert not application.is_running()
    for node in (first, second):
        assert _unit(node) == "masked"
        assert node.machine.run(["systemctl", "start", node.unit], check=False).returncode != 0

    killed = runner.run("cluster-restore", cluster="crm", at=Point("11", 4))
    assert killed.ended == "killed", killed.said
    assert application.is_running()
    outcome = runner.run("cluster-restore", cluster="crm")
    assert outcome.completed, outcome.said
    _is_whole(first, second)
    assert _policy(application) == "always"
    before = application.visits()
    processes.until(lambda: application.visits() > before, "the application writes", within=60)
    assert runner.run("cluster-restore", cluster="crm").changed == 0


def _is_whole(first: MachinePostgres, second: MachinePostgres) -> None:
    gone = "SELECT count(*) FROM pg_class WHERE relname = 'written_later'"
    assert [node.psql(gone) for node in (first, second)] == ["0", "0"]
    role = "SELECT pg_is_in_recovery()"
    assert [node.psql(role) for node in (first, second)] == ["f", "t"]
    assert [_unit(node) == "masked" for node in (first, second)] == [False, False]
    streams = "SELECT application_name, state FROM pg_stat_replication"
    assert first.psql(streams) == "crm2|streaming"
    slots = "SELECT slot_name, active FROM pg_replication_slots"
    assert first.psql(slots) == "repmgr_slot_2|t"
    assert first.repmgr("cluster", "show", check=False).returncode == 0


def _unit(node: MachinePostgres) -> str:
    ask = ["systemctl", "is-enabled", node.unit]
    return node.machine.run(ask, check=False).stdout.strip()


def _policy(application: Application) -> str:
    seen = application.docker("inspect", application.container).stdout
    return str(json.loads(seen)[0]["HostConfig"]["RestartPolicy"]["Name"])


def _runner(base: Path, nodes: tuple[MachinePostgres, ...], application: Application) -> Runner:
    managed = {"kind": "docker-compose", "file": str(application.compose_file)}
    app = {"name": "shop", "host": inventory.host(application.machine), "managed_by": managed}
    cluster = {
        "nodes": [inventory.machine(node) for node in nodes],
        "apps": [app],
        "replication": {"user": "repmgr", "method": "trust"},
        "backups": {"store": "store"},
    }
    return Runner(
        inventory.write(base, inventory.of_one("crm", cluster, base)), base / "state", timeout=300
    )
