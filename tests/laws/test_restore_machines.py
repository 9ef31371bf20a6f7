"""A whole restore on machines: systemd, Debian's PostgreSQL, Docker with `restart: always`."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.application import Application
from tests.lab.machine_postgres import MachinePostgres
from tests.lab.machines import MachinesLab
from tests.laws import inventory
from tests.laws.driver import Runner
from tests.laws.outcome import Outcome, Point

pytestmark = pytest.mark.lab


@dataclass
class Shop:
    """PostgreSQL under systemd on one machine, its application under docker-compose on another."""

    database: MachinePostgres
    application: Application
    runner: Runner
    store: Path
    backup: str = ""

    def run(self, procedure: str, **arguments: Any) -> Outcome:
        return self.runner.run(procedure, cluster="machines", **arguments)

    def policy(self) -> str:
        seen = self.application.docker("inspect", self.application.container).stdout
        return str(json.loads(seen)[0]["HostConfig"]["RestartPolicy"]["Name"])

    def unit(self) -> str:
        ask = ["systemctl", "is-enabled", self.database.unit]
        done = self.database.machine.run(ask, check=False)
        return done.stdout.strip()


@pytest.fixture(scope="module")
def shop(machines_lab: MachinesLab, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    base = tmp_path_factory.mktemp("machines")
    database = machines_lab.postgres("shopdb")
    application = machines_lab.application("shopapp", database)
    shop = Shop(database, application, _runner(database, application, base, "root"), base / "store")
    taken = shop.run("base-backup")
    assert taken.completed, taken.said
    shop.backup = next(path.name for path in (base / "store/machines").iterdir() if path.is_dir())
    return shop


def _runner(database: MachinePostgres, application: Application, base: Path, login: str) -> Runner:
    """Give what runs runbooks there, with this login on the database's machine."""
    node = {
        "name": "shopdb",
        "host": inventory.host(database.machine, login),
        "data_directory": str(database.data_directory),
        "bin_directory": str(database.bin_directory),
        "service": {"kind": "systemd", "unit": database.unit},
    }
    app = {
        "name": "shop",
        "host": inventory.host(application.machine),
        "managed_by": {"kind": "docker-compose", "file": str(application.compose_file)},
    }
    cluster = {
        "nodes": [node],
        "apps": [app],
        "replication": {"method": "trust"},
        "backups": {"store": "store"},
    }
    folder = base / login
    folder.mkdir()
    path = inventory.write(folder, inventory.of_one("machines", cluster, base))
    return Runner(path, base / "state")


def test_a_login_that_may_not_hold_the_unit_down_is_refused_in_the_plan(
    shop: Shop, tmp_path: Path
) -> None:
    limited = _runner(shop.database, shop.application, tmp_path, "postgres")
    sudoers = "/etc/sudoers.d/pg-runbooks"

    def planned() -> Outcome:
        return limited.run("instance-restore", cluster="machines", dry_run=True)

    shutil.copytree(shop.store, tmp_path / "store", dirs_exist_ok=True)
    refused = planned()
    assert refused.ended == "CheckFailed", refused.said
    assert "sudo does not allow: (root) sh -c *\n" in refused.said
    line = "postgres ALL=(root) NOPASSWD: /usr/bin/sh -c *"
    shop.database.machine.run(["sh", "-c", f"echo '{line}' >{sudoers}"])
    assert planned().completed
    shop.database.machine.run(["rm", sudoers])


def wait_for_visits(shop: Shop) -> None:
    deadline, before = time.monotonic() + 120, shop.application.visits()
    while shop.application.visits() <= before:
        assert time.monotonic() < deadline, "the application does not write"
        time.sleep(0.2)


def test_applications_and_unit_are_held_down_while_the_data_is_replaced(shop: Shop) -> None:
    shop.database.psql("CREATE TABLE written_later (x int)")
    stopped = shop.run("instance-restore", backup=shop.backup, at=Point("5"))
    assert stopped.ended == "killed", stopped.said
    assert not shop.application.is_running()
    assert shop.policy() == "no"
    assert shop.unit() == "masked"
    shop.application.machine.run(["systemctl", "restart", "docker"])
    assert not shop.application.is_running()
    refused = shop.database.machine.run(["systemctl", "start", shop.database.unit], check=False)
    assert refused.returncode != 0

    killed = shop.run("instance-restore", backup=shop.backup, at=Point("8", 2))
    assert killed.ended == "killed", killed.said
    outcome = shop.run("instance-restore", backup=shop.backup)
    assert outcome.completed, outcome.said
    assert shop.policy() == "always"
    assert shop.unit() != "masked"
    assert shop.database.is_running()
    wait_for_visits(shop)
    gone = shop.database.psql("SELECT count(*) FROM pg_class WHERE relname = 'written_later'")
    assert gone == "0"
    assert float(str(outcome.memory["recovery time seconds"])) > 0
    assert shop.run("instance-restore", backup=shop.backup).changed == 0


def test_the_old_data_comes_back_with_its_application(shop: Shop) -> None:
    if not shop.run("instance-restore", backup=shop.backup).completed:
        pytest.fail("the restore before the undo failed")
    undone = shop.run("instance-restore-undo")
    assert undone.completed, undone.said
    there = shop.database.psql("SELECT count(*) FROM pg_class WHERE relname = 'written_later'")
    assert there == "1"
    assert shop.policy() == "always"
    wait_for_visits(shop)
    parent = str(shop.database.data_directory.parent)
    names = shop.database.machine.run(["ls", parent]).stdout.split()
    assert sorted(name.partition("-")[0] for name in names) == ["main", "main.undone"]
