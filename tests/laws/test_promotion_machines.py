"""A whole switchover on machines: systemd, Debian's PostgreSQL, Docker with `restart: always`."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
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
    """Two nodes under systemd, and an application under docker-compose."""

    old: MachinePostgres
    new: MachinePostgres
    application: Application
    runner: Runner

    def run(self, **arguments: Any) -> Outcome:
        return self.runner.run("promotion", cluster="handover", to=self.new.name, **arguments)

    def policy(self) -> str:
        seen = self.application.docker("inspect", self.application.container).stdout
        return str(json.loads(seen)[0]["HostConfig"]["RestartPolicy"]["Name"])

    def compose_file(self) -> str:
        return self.application.machine.run(["cat", str(self.application.compose_file)]).stdout

    def visits(self) -> int:
        return int(self.new.psql("SELECT count(*) FROM shop_visits"))


@pytest.fixture(scope="module")
def shop(machines_lab: MachinesLab, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    base = tmp_path_factory.mktemp("handover")
    old, new = machines_lab.repmgr_cluster("hand1", "hand2")
    application = machines_lab.application("handapp", old)
    app = {
        "name": "shop",
        "host": inventory.host(application.machine),
        "managed_by": {"kind": "docker-compose", "file": str(application.compose_file)},
        "database": [{"service": "shop", "variable": "DATABASE_HOST"}],
    }
    cluster = {
        "nodes": [inventory.machine(old), inventory.machine(new)],
        "apps": [app],
        "replication": {"user": "repmgr", "method": "trust"},
        "backups": {"store": "store"},
    }
    path = inventory.write(base, inventory.of_one("handover", cluster, base))
    return Shop(old, new, application, Runner(path, base / "state"))


def test_a_switchover_with_systemd_and_docker_compose(shop: Shop) -> None:
    killed = shop.run(at=Point("9"))
    assert killed.ended == "killed", killed.said
    ask = ["systemctl", "is-enabled", shop.old.unit]
    assert shop.old.machine.run(ask, check=False).stdout.strip() == "masked"
    revived = shop.old.machine.run(["systemctl", "start", shop.old.unit], check=False)
    assert revived.returncode != 0
    assert shop.new.psql("SELECT pg_is_in_recovery()") == "f"
    assert shop.policy() == "no"
    shop.application.machine.run(["systemctl", "restart", "docker"])
    assert not shop.application.is_running()
    assert f"DATABASE_HOST: {shop.old.machine.address}" in shop.compose_file()

    outcome = shop.run()
    assert outcome.completed, outcome.said
    expected = f"DATABASE_HOST: {shop.new.machine.address}  # repointed after a promotion"
    assert expected in shop.compose_file()
    assert shop.policy() == "always"
    deadline, before = time.monotonic() + 120, shop.visits()
    while shop.visits() <= before:
        assert time.monotonic() < deadline, "the application does not write to the new primary"
        time.sleep(0.2)
    again = shop.run()
    assert (again.ended, again.changed, again.said) == ("completed", 0, "")
