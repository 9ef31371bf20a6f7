"""A repmgr cluster whose roles need passwords, and an application that has one in its settings."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.lab.repmgr import configuration
from tests.laws import replication_scene
from tests.laws.driver import Runner
from tests.laws.replication_scene import Scene as ReplicationScene
from tests.secrets import instance
from tests.secrets.markers import Markers
from tests.secrets.portal import Portal
from tests.secrets.watch import Watch

_RULES = """\
host all repmgr 127.0.0.0/8 scram-sha-256
host replication repmgr 127.0.0.0/8 scram-sha-256
"""

_ROLE = """
SET log_statement = 'none';
ALTER ROLE repmgr PASSWORD '{password}';
"""

_SETTINGS = """\
# The shop's application. It reads this file when it starts, and only then.
DATABASE_HOST={address}
DATABASE_PASSWORD={password}
DATABASE_URL=postgresql://shop:{password}@{address}:{port}/shop
PGCONNECT_TIMEOUT=2
"""


@dataclass
class Scene(ReplicationScene):
    """The scene of replication, whose runs tell everything to one file."""

    @property
    def runner(self) -> Runner:
        """Give the runner."""
        return replace(super().runner, log=self.base / "told")


def build(
    lab: LoopbackLab, *names: str, base: Path, markers: Markers, portal: Portal
) -> tuple[Scene, Watch]:
    """Make the cluster, and give its role a password that each host has in a password file."""
    made = replication_scene.build(lab, *names, base=base, rows=300)
    scene = Scene(lab, made.cluster, base, made.apps)
    password = markers.in_file("repmgr", base)
    scene.primary.psql(_ROLE.format(password=password.read_text().strip()))
    passfiles = [_guarded(scene, node, password.read_text().strip()) for node in scene.nodes]
    (app,) = scene.apps
    text = _SETTINGS.format(
        address=scene.nodes[0].host.address,
        port=scene.nodes[0].port,
        password=markers.secret("application"),
    )
    app.settings.chmod(0o600)
    app.settings.write_text(text)
    named = [
        {"variable": name, "file": str(app.settings)} for name in ("DATABASE_HOST", "DATABASE_URL")
    ]
    scene.app_settings = {"database": named}
    scene.cluster_settings = {
        "health": portal.checks(),
        "health_secrets": instance.secrets_of(portal, base),
        "replication": {"user": "repmgr"},
        "replication_password": {"file": str(password)},
        "logical": {
            "store": "store",
            "folder": "logical",
            "guid": "muted",
            "recovery": {"block_port": False},
        },
        "encryption_keys": {"current": {"file": str(markers.in_file("encryption key", base))}},
    }
    scene.keep()
    return scene, _watch(scene, markers, {*passfiles, app.settings})


def _guarded(scene: Scene, node: PostgresNode, password: str) -> Path:
    """Let nobody in as repmgr without the password, and give this node the file that has it."""
    passfile = node.host.directory / "repmgr.pass"
    passfile.touch(mode=0o600)
    passfile.write_text(f"*:*:*:repmgr:{password}\n")
    shutil.chown(passfile, "postgres", "postgres")
    rules = node.data_directory / "pg_hba.conf"
    rules.write_text(_RULES + rules.read_text())
    with configuration(node).open("a") as file:
        file.write(f"passfile = '{passfile}'\n")
    auto = node.data_directory / "postgresql.auto.conf"
    auto.write_text(auto.read_text().replace("user=repmgr", f"user=repmgr passfile={passfile}"))
    _told_by_sshd(node, passfile)
    node.reload()
    return passfile


def _told_by_sshd(node: PostgresNode, passfile: Path) -> None:
    """Let sessions find the file; the home of postgres belongs to all labs of this machine."""
    path = node.host.directory / "sshd_config"
    mark = f"SetEnv {processes.MARK}={node.host.lab}"
    text = path.read_text()
    assert mark in text
    path.write_text(text.replace(mark, f"{mark} PGPASSFILE={passfile}"))
    node.host.stop_ssh()
    node.host.start_ssh()


def _watch(scene: Scene, markers: Markers, kept: set[Path]) -> Watch:
    hosts = scene.hosts
    folders: dict[str, tuple[Path, ...]] = {
        "output and logging of runs": (scene.base / "told",),
        "inventory": (scene.base / "inventory.yaml",),
        "commands over SSH": tuple(host.directory / "journal" for host in hosts),
        "server log": tuple(node.directory / "log" for node in scene.nodes),
        "the nodes' files": tuple(node.directory for node in scene.nodes),
        "the application's files": tuple(app.directory for app in scene.apps),
        "store": (scene.base / "store",),
    }
    return Watch(markers, scene.base / "state", folders, kept)
