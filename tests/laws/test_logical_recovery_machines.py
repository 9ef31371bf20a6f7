"""logical-recovery on machines as in an a9s-pg deployment: monit, startup locks, and a firewall."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runbook.hosts import Host
from runbook.inventory import read_inventory
from runbook.logical.recovery.firewall import PortBlock
from runbook.postgres import Node
from tests.lab import processes
from tests.lab.machine_monit import JOB, STARTUP_LOCKS, A9sPostgres
from tests.lab.machines import MachinesLab
from tests.laws import inventory, logical_recovery_scene
from tests.laws.driver import Runner
from tests.laws.logical_recovery_scene import GUID, KEY, STAMP
from tests.laws.outcome import Outcome, Point

pytestmark = pytest.mark.lab

CLUSTER = "lrm"
_TABLE = """
CREATE TABLE orders (id int PRIMARY KEY, said text);
INSERT INTO orders SELECT n, md5(n::text) FROM generate_series(1, 5000) n
"""


@dataclass(frozen=True)
class Pair:
    """Two machines with monit, a backup of them in the store, and the runbooks for them."""

    first: A9sPostgres
    second: A9sPostgres
    inventory: Path
    runner: Runner
    id: str

    def recover(self, **arguments: Any) -> Outcome:
        return self.runner.run(
            "logical-recovery", cluster=CLUSTER, scenario="new-site", backup=self.id, **arguments
        )

    def lets_in(self) -> bool:
        """Tell whether a client from outside comes to the primary's port."""
        try:
            socket.create_connection((self.first.machine.address, 5432), timeout=3).close()
        except OSError:
            return False
        return True


@pytest.fixture(scope="module")
def pair(machines_lab: MachinesLab, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    base = tmp_path_factory.mktemp("lrm")
    first, second = machines_lab.a9s_cluster("lrm1", "lrm2")
    first.psql("CREATE DATABASE shop")
    first.psql(_TABLE, database="shop")
    sql = first.machine.run(["pg_dumpall"], user="postgres").stdout.encode()
    name = logical_recovery_scene.put(base / "store" / "logical", STAMP, sql)
    first.psql("DELETE FROM orders WHERE id > 100", database="shop")
    first.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
    first.psql("SELECT pg_reload_conf()")
    (base / "key").write_text(KEY)
    path = inventory.write(base, inventory.of_one(CLUSTER, _cluster(first, second, base), base))
    return Pair(first, second, path, Runner(path, base / "state", timeout=300), name)


def _cluster(first: A9sPostgres, second: A9sPostgres, base: Path) -> dict[str, Any]:
    recovery = {
        "alias": first.machine.address,
        "role_script": str(JOB / "data" / "create_or_update_roles_and_databases.sql"),
        "startup_locks": str(STARTUP_LOCKS),
        "repmgr": {"process": "repmgr"},
    }
    return {
        "nodes": [inventory.a9s(node) for node in (first, second)],
        "replication": {"user": "repmgr", "method": "trust"},
        "backups": {"store": "store"},
        "logical": {"store": "store", "folder": "logical", "guid": GUID, "recovery": recovery},
        "encryption_keys": {"current": {"file": str(base / "key")}},
    }


def test_the_kernel_opens_a_port_that_nobody_opens_again(pair: Pair) -> None:
    nodes = read_inventory(pair.inventory).cluster(CLUSTER).nodes
    block = PortBlock(nodes[0], nodes, timedelta(hours=1))
    assert block.is_possible()
    assert pair.lets_in()
    for action in block.close():
        action.perform()
    assert not pair.lets_in()
    assert block.stands()
    peer = f"exec 3<>/dev/tcp/{pair.first.machine.address}/5432"
    pair.second.machine.run(["bash", "-c", peer])
    for action in replace(block, expires=timedelta(seconds=1)).close():
        action.perform()
    processes.until(pair.lets_in, "the port opens by itself", within=60)
    assert not block.stands()
    assert not block.is_gone()
    for action in block.open():
        action.perform()
    assert block.is_gone()


def test_what_the_machine_only_passes_on_goes_through_a_block(pair: Pair) -> None:
    """The worker's machine bridges the machines of the lab; a server of its own is closed here."""
    here = Node(name=f"here_{pair.first.name}", host=Host(name="here"))
    block = PortBlock(here, (here,), timedelta(seconds=60))
    peer = f"exec 3<>/dev/tcp/{pair.first.machine.address}/5432"
    for action in block.close():
        action.perform()
    try:
        assert block.stands()
        pair.second.machine.run(["bash", "-c", peer])
    finally:
        for action in block.open():
            action.perform()
    assert block.is_gone()


def test_a_new_site_gets_the_backup_and_its_own_roles(pair: Pair) -> None:
    first, second = pair.first, pair.second
    killed = pair.recover(at=Point("11", 1))
    assert killed.ended == "killed", killed.said
    assert not pair.lets_in()
    assert first.is_running()
    assert not first.repmgrd_runs()
    assert not second.is_running()
    stale = f"mkdir -p {STARTUP_LOCKS} && echo 1 >{STARTUP_LOCKS}/postgresql-ha.pid"
    second.machine.run(["sh", "-c", stale])

    outcome = pair.recover()
    assert outcome.completed, outcome.said
    assert pair.lets_in()
    assert first.machine.run(["nft", "list", "tables"]).stdout == ""
    for node in (first, second):
        node.settled()
        counted = node.psql("SELECT count(*), max(id) FROM orders", database="shop")
        assert counted == "5000|5000"
    assert first.psql("SELECT count(*) FROM pg_roles WHERE rolname = 'a9s_service'") == "1"
    streams = "SELECT application_name, state FROM pg_stat_replication"
    assert first.psql(streams) == f"{second.name}|streaming"
    assert first.repmgr("cluster", "show", check=False).returncode == 0
    again = pair.recover()
    assert (again.ended, again.changed, again.said) == ("completed", 0, "")


def test_what_was_set_aside_is_dropped_by_a_run_of_its_own(pair: Pair) -> None:
    kept = "SELECT datname FROM pg_database WHERE datname ~ '_aside_' ORDER BY 1"
    names = pair.first.psql(kept).splitlines()
    assert [name.partition("_aside_")[0] for name in names] == ["repmgr_cluster", "shop"]
    moment = names[0][-14:]
    dropped = pair.runner.run("discard-databases", cluster=CLUSTER, moment=moment)
    assert dropped.completed, dropped.said
    assert pair.first.psql(kept) == ""
    again = pair.runner.run("discard-databases", cluster=CLUSTER, moment=moment)
    assert (again.ended, again.changed) == ("completed", 0)
    assert pair.recover().changed == 0
