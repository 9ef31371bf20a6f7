"""A platform database on the loopback lab whose backups the Backup Manager makes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runbook.manager import agent_log
from tests.contract.health.portal import certificate
from tests.lab import manager as stand_in
from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.lab.manager import Manager
from tests.lab.postgres import PostgresNode
from tests.lab.unchanged import Observation
from tests.laws import inventory
from tests.laws.driver import Runner
from tests.laws.outcome import Outcome
from tests.laws.restore_scene import READING

PASSWORD, TOKEN = 'hidden "manager" pass', "bearer eyJhbGciOi.hidden.token"
KEY, OLD_KEY = "b1946ac92492d2347c6235b4d2611184", "591785b794601e212b260e25925636fd"
BEFORE, AFTER = "1,2,3", "1,2,3,4,5"
"""What the ledger holds in the backup that is there, and what it holds now."""


@dataclass
class Scene:
    """One instance, its manager, and the settings that may be changed between runs."""

    lab: LoopbackLab
    node: PostgresNode
    manager: Manager
    base: Path
    settings: dict[str, Any] = field(default_factory=dict)
    cluster: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The cluster's name; no other lab's."""
        return f"{self.node.name}-{self.lab.name}"

    @property
    def runner(self) -> Runner:
        """Write the inventory as it is now and give the runner for it."""
        path = inventory.write(self.base, self._inventory())
        secrets = {"MANAGER": PASSWORD, "TOKEN": TOKEN, "KEY": KEY, "OLD_KEY": OLD_KEY}
        return Runner(path, self.base / "state", {**secrets, **self.environment}, timeout=180)

    def run(self, procedure: str, **arguments: Any) -> Outcome:
        """Run a procedure on the cluster."""
        return self.runner.run(procedure, cluster=self.name, **arguments)

    def reset(self) -> None:
        """Bring ledger, log, manager and state back to the beginning; one backup is there."""
        processes.run(["rm", "-rf", self.base / "state"])
        self.manager.close()
        self.manager.closing.clear()
        fresh = Manager(self.node, self.manager.log, PASSWORD, TOKEN, url=self.manager.url)
        self.manager.__dict__.update(fresh.__dict__)
        self.manager.log.write_text('127.0.0.1 - x [d] "POST /v1/restore HTTP/1.1" 200 1 0.1\n')
        self.manager.tell("I, [2018-11-20T12:13:00.939338 #31554]  INFO -- : success")
        self.settings, self.cluster, self.environment = {}, {}, {}
        self.write(AFTER)
        self.manager.add(BEFORE, age=3600)

    def write(self, rows: str) -> None:
        """Let the ledger hold these rows."""
        values = ",".join(f"({row})" for row in rows.split(","))
        sql = f"TRUNCATE ledger; INSERT INTO ledger VALUES {values}"
        self.node.psql(sql, database=stand_in.DATABASE)

    def unchanged(self) -> AbstractContextManager[Observation]:
        """Prove that nothing changes on the node in a block."""
        return self.lab.unchanged(self.node, scripts=(*READING, agent_log._WHERE, agent_log._READ))

    def _inventory(self) -> dict[str, Any]:
        manager = {
            "url": self.manager.url,
            "certificate_authority": str(self.base / "portal.crt"),
            "log": str(self.manager.log),
            "timeout": 5,
            "patience": 2,
            "every": 0.05,
            "settle": 1,
            **self.settings,
        }
        cluster = {
            "nodes": [inventory.server(self.node)],
            "backups": {"store": "store"},
            "manager": manager,
            "manager_password": {"env": "MANAGER"},
            "logical": {"store": "store", "folder": "logical", "guid": "ffa4", "key": "new"},
            "encryption_keys": {"new": {"env": "KEY"}, "old": {"env": "OLD_KEY"}},
            "service_api": {
                "url": f"{self.manager.url}/v1/instances/a9s-pg",
                "certificate_authority": str(self.base / "portal.crt"),
            },
            "service_api_token": {"env": "TOKEN"},
            **self.cluster,
        }
        return inventory.of_one(self.name, cluster, self.base)


@contextmanager
def built(lab: LoopbackLab, name: str, base: Path) -> Iterator[Scene]:
    """Make the instance and serve its manager over HTTPS for the time of a block."""
    node = lab.postgres(name, rows=10, authentication="trust")
    node.psql(f"CREATE DATABASE {stand_in.DATABASE}")
    node.psql("CREATE TABLE ledger (x int)", database=stand_in.DATABASE)
    log = node.host.directory / "backup-agent.log"
    log.write_text("")
    log.chmod(0o644)
    _, context = certificate(base)
    with stand_in.served(Manager(node, log, PASSWORD, TOKEN), context) as manager:
        yield Scene(lab, node, manager, base)
