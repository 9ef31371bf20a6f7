"""The inventory that our runbooks are measured with: one cluster per way of backing up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from tests.lab.postgres import PostgresNode
from tests.lab.s3 import S3Server

SECRET = "BENCH_S3_SECRET"
Settings = dict[str, object]


@dataclass(frozen=True)
class Inventory:
    """An inventory file under way."""

    path: Path
    stores: Mapping[str, Settings]
    clusters: Mapping[str, Settings]

    def write(self) -> Path:
        """Write the file."""
        with self.path.open("w") as file:
            YAML().dump({"stores": dict(self.stores), "clusters": dict(self.clusters)}, file)
        return self.path


def folder_store(path: Path) -> Settings:
    """A folder of the worker, which is this machine."""
    return {"location": {"kind": "folder", "path": str(path)}}


def node_store(path: Path) -> Settings:
    """A folder of the database's host, as the page has it."""
    return {"location": {"kind": "node-folder", "path": str(path)}}


def cluster(
    node: PostgresNode, store: str, *, over_ssh: bool = False, **backups: object
) -> Settings:
    """A single instance; without SSH the worker is its host, as pg_basebackup is for the peers."""
    way = node.host.way("postgres") if over_ssh else {"kind": "local"}
    server = {
        "name": node.name,
        "host": {"name": node.name, "way": way},
        "port": node.port,
        "address": node.host.address,
        "data_directory": str(node.data_directory),
        "bin_directory": str(node.bin_directory),
        "socket_directory": str(node.socket_directory),
    }
    return {
        "nodes": [server],
        "replication": {"user": "postgres", "method": "trust", "grant": False},
        "backups": {"store": store, **backups},
        "approval": {"without": ["instance-restore"]},
    }


def s3_store(server: S3Server) -> Settings:
    """A bucket."""
    location = {
        "kind": "s3",
        "bucket": server.bucket,
        "endpoint_url": server.endpoint,
        "region": server.region,
        "addressing": "path",
    }
    return {"location": location, "key_id": server.key_id, "secret": {"env": SECRET}}
