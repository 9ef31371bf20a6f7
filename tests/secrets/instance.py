"""A single instance with a secret of every kind: roles, stores, portal, application."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3

from tests.contract.health.portal import certificate
from tests.lab import apc, processes
from tests.lab import manager as stand_in
from tests.lab.apc import Platform
from tests.lab.loopback import LoopbackLab
from tests.lab.manager import Manager
from tests.lab.s3 import S3Server
from tests.laws import inventory, restore_scene
from tests.laws.driver import Runner
from tests.secrets.markers import Markers
from tests.secrets.portal import USER, Portal
from tests.secrets.watch import Watch

ROLE = "hushed"
ENVIRONMENT = "HUSHED_REPLICATION_PASSWORD"
VAULT = "vault"

_ROLE = f"""
SET log_statement = 'none';
CREATE ROLE {ROLE} LOGIN REPLICATION PASSWORD '{{password}}';
"""

_APPLICATION = """#!/bin/sh
# start | stop | running
cd "$(dirname "$0")" || exit 2
case $1 in start) touch up;; stop) rm -f up;; running) test -e up;; esac
"""


@dataclass
class Scene(restore_scene.Scene):
    """The scene of a restore, with the stores and secrets of this one."""

    password: str = ""
    stores: dict[str, Any] | None = None

    @property
    def runner(self) -> Runner:
        """Give the runner, with the one secret that comes by the environment."""
        made = super().runner
        environment = {ENVIRONMENT: self.password}
        return replace(made, environment=environment, log=self.base / "told")

    def _inventory(self) -> dict[str, Any]:
        return {**super()._inventory(), "stores": self.stores}


def build(
    lab: LoopbackLab, name: str, base: Path, markers: Markers, portal: Portal, s3: S3Server
) -> Scene:
    """Make the instance, its two stores in S3, a shelf on the worker, and an application."""
    node = lab.postgres(name, rows=300)
    scene = Scene(lab, node, base, password=markers.secret("replication"))
    node.psql(_ROLE.format(password=scene.password))
    scene.stores = {
        "store": bucket(s3, name, markers.in_file("store", base)),
        VAULT: bucket(s3, f"{name}-{VAULT}", markers.in_file("vault", base)),
        "shelf": {"location": {"kind": "folder", "path": str(base / "shelf")}},
        "node": {"location": {"kind": "node-folder", "path": str(node.directory / "backups")}},
    }
    scene.cluster = {
        "apps": [application(lab, name)],
        "health": portal.checks(),
        "health_secrets": secrets_of(portal, base),
        "replication": {"user": ROLE},
        "replication_password": {"env": ENVIRONMENT},
        "audit": {"store": VAULT},
        "components": {
            "databases": ["shop"],
            "directory": f"{node.directory}/dumps",
            "store": "store",
        },
    }
    return scene


@contextmanager
def managed(scene: Scene, markers: Markers) -> Iterator[Manager]:
    """Let a Backup Manager and the a9s API know the instance, each with a secret of its own."""
    scene.node.psql(f"CREATE DATABASE {stand_in.DATABASE}")
    scene.node.psql("CREATE TABLE ledger (x int)", database=stand_in.DATABASE)
    log = scene.node.host.directory / "backup-agent.log"
    log.touch()
    password, token = markers.secret("manager"), f"bearer {markers.secret('token')}"
    _, context = certificate(scene.base)
    made = Manager(scene.node, log, password, token)
    with stand_in.served(made, context):
        authority = {"certificate_authority": str(scene.base / "portal.crt")}
        manager = {"url": made.url, "log": str(log), "every": 0.1, "patience": 1, **authority}
        service_api = {"url": f"{made.url}/v1/instances/{stand_in.GUID}", **authority}
        secrets = {"manager_password": password, "service_api_token": token}
        scene.cluster |= {
            "manager": manager,
            "service_api": service_api,
            "logical": {"store": "store", "folder": "logical", "guid": "hushed"},
            "encryption_keys": {
                "current": {"file": str(markers.in_file("encryption key", scene.base))}
            },
            **{
                name: {"file": str(markers.in_file(name, scene.base, secret))}
                for name, secret in secrets.items()
            },
        }
        yield made


def exporting(scene: Scene) -> Platform:
    """Let the instance's host have the platform's client, whose policy goes to a repository."""
    folder = scene.node.host.directory / "client"
    (folder / "way").mkdir(parents=True)
    shutil.chown(folder / "way", "postgres")
    processes.run(["git", "init", "-q", "--bare", "-b", "main", scene.base / "policy.git"])
    platform = apc.install(folder)
    (folder / "cluster.conf").write_text("chef: {}\n")
    scene.cluster["exports"] = {
        "client": inventory.host(scene.node.host, "postgres"),
        "program": str(platform.program),
        "directory": str(folder / "way"),
        "store": "store",
        "repository": {"url": str(scene.base / "policy.git")},
        "packages": {"/apcera": ["shop"]},
        "jobs": {"/apcera": ["shop"]},
        "installation": {
            "host": inventory.host(scene.node.host, "postgres"),
            "files": [str(folder / "cluster.conf")],
        },
    }
    return platform


def application(lab: LoopbackLab, name: str) -> dict[str, Any]:
    """Make an application on the host that runs, and is started and stopped by a script."""
    host = lab.host(name)
    script = host.directory / "application" / "app.sh"
    script.parent.mkdir()
    script.write_text(_APPLICATION)
    script.chmod(0o755)
    (script.parent / "up").touch()
    processes.run(["chown", "-R", "postgres", script.parent])
    way = {
        "kind": "ssh",
        "address": host.address,
        "port": host.ssh_port,
        "user": "postgres",
        "key_file": str(host.private_key),
        "known_hosts": str(host.known_hosts),
    }
    verbs = {f"{verb}_command": [str(script), verb] for verb in ("start", "stop", "running")}
    return {
        "name": f"shop-{name}",
        "host": {"name": name, "way": way},
        "managed_by": {"kind": "commands", **verbs},
    }


def portal_of(markers: Markers) -> Portal:
    """Give a portal with secrets of its own."""
    password, key = markers.secret("portal password"), markers.secret("portal key")
    return Portal(password, key, markers.secret("portal token"))


def secrets_of(portal: Portal, base: Path) -> dict[str, Any]:
    """Keep the portal's secrets where the inventory refers to them."""
    found = {}
    for name, secret in (("portal", portal.password), ("key", portal.key)):
        path = base / f"{name}.secret"
        path.touch(mode=0o600)
        path.write_text(secret)
        found[name] = {"file": str(path)}
    return found


def watch(scene: Scene, markers: Markers) -> Watch:
    """Say where everything of this scene is written."""
    host, directory = scene.node.host.directory, scene.node.directory
    return Watch(
        markers,
        scene.base / "state",
        {
            "output and logging of runs": (scene.base / "told",),
            "inventory": (scene.base / "inventory.yaml",),
            "commands over SSH": (host / "journal", host / "sshd.log"),
            "server log": (directory / "log",),
            "the node's files": (directory,),
            "shelf": (scene.base / "shelf",),
        },
    )


def in_bucket(s3: S3Server, name: str, into: Path) -> Path:
    """Fetch everything that lies in a bucket."""
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        aws_access_key_id=USER,
        aws_secret_access_key=USER,
        region_name=s3.region,
    )
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=name)
    keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    for key in keys:
        path = into / name / key
        path.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(name, key, str(path))
    client.close()
    return into / name


def bucket(s3: S3Server, name: str, secret: Path) -> dict[str, Any]:
    """Make a bucket, and give the store in it as an inventory has it."""
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        aws_access_key_id=USER,
        aws_secret_access_key=USER,
        region_name=s3.region,
    )
    client.create_bucket(Bucket=name)
    client.close()
    location = {
        "kind": "s3",
        "bucket": name,
        "endpoint_url": s3.endpoint,
        "region": s3.region,
    }
    return {"location": location, "key_id": USER, "secret": {"file": str(secret)}}
