"""Inventories of the labs' nodes and applications, as a person would write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.lab.machine_monit import A9sPostgres
from tests.lab.machine_postgres import MachinePostgres
from tests.lab.postgres import BIN_DIRECTORY, PostgresNode
from tests.lab.repmgr import configuration
from tests.lab.shop_client import VERBS, ShopClient
from tests.lab.ssh import SshEndpoint


def write(base: Path, inventory: Mapping[str, Any]) -> Path:
    """Write an inventory into a folder."""
    path = base / "inventory.yaml"
    with path.open("w") as file:
        YAML().dump(dict(inventory), file)
    return path


def of_one(name: str, cluster: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Give the inventory of one cluster, whose store is a folder in `base`."""
    store = {"location": {"kind": "folder", "path": str(base / "store")}}
    return {"stores": {"store": store}, "clusters": {name: dict(cluster)}}


def host(there: SshEndpoint, user: str = "root") -> dict[str, Any]:
    """Give a host of a lab, logged in to over SSH."""
    return {"name": there.name, "way": there.way(user)}


def server(node: PostgresNode) -> dict[str, Any]:
    """Give a node of the loopback lab, logged in to as postgres."""
    return {
        "name": node.name,
        "host": host(node.host, "postgres"),
        "address": node.host.address,
        "port": node.port,
        "data_directory": str(node.data_directory),
        "bin_directory": str(BIN_DIRECTORY),
        "socket_directory": str(node.socket_directory),
        "service": {"kind": "pg_ctl", "log_file": f"{node.directory}/log/start.log"},
    }


def member(node: PostgresNode) -> dict[str, Any]:
    """Give a node of the loopback lab that repmgr manages."""
    return {**server(node), "repmgr": {"configuration": str(configuration(node))}}


def machine(node: MachinePostgres) -> dict[str, Any]:
    """Give a machine's server, run by systemd and managed by repmgr."""
    return {
        "name": node.name,
        "host": host(node.machine),
        "address": node.machine.address,
        "data_directory": str(node.data_directory),
        "bin_directory": str(node.bin_directory),
        "service": {"kind": "systemd", "unit": node.unit},
        "repmgr": {"configuration": str(node.repmgr_configuration)},
    }


def a9s(node: A9sPostgres) -> dict[str, Any]:
    """Give a server of an a9s-pg cluster, run by monit and managed by repmgr."""
    repmgr = {
        "configuration": str(node.repmgr_configuration),
        "program": "/usr/bin/repmgr",
        "database": "repmgr_cluster",
    }
    service = {"kind": "monit", "process": node.unit, "dependents": ["repmgr"]}
    return {**machine(node), "service": service, "repmgr": repmgr}


def application(app: ShopClient) -> dict[str, Any]:
    """Give an application that is started and stopped by commands."""
    managed = {f"{verb}_command": list(app.command(verb)) for verb in VERBS}
    return {
        "name": app.name,
        "host": host(app.host),
        "managed_by": {"kind": "commands", **managed},
    }
