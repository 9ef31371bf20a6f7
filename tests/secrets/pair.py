"""Two servers of their own, an application on each, and a secret of every kind that they need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tests.lab.loopback import LoopbackLab
from tests.laws import standby_scene
from tests.laws.driver import Runner
from tests.secrets import instance
from tests.secrets.instance import ENVIRONMENT
from tests.secrets.markers import Markers
from tests.secrets.portal import Portal
from tests.secrets.watch import Watch

APPLICATION = "sip"


@dataclass
class Scene(standby_scene.Scene):
    """The scene of standby-setup, whose runs tell everything to one file."""

    @property
    def runner(self) -> Runner:
        """Give the runner."""
        return replace(super().runner, log=self.base / "told")


def build(
    lab: LoopbackLab, first: str, second: str, base: Path, markers: Markers, portal: Portal
) -> Scene:
    """Make both servers; the password of the role is in the settings, and nobody has it yet."""
    made = standby_scene.build(lab, first, second, base, rows=300)
    scene = Scene(lab, made.primary, made.standby, base)
    scene.environment = {ENVIRONMENT: markers.secret("standby")}
    apps = [{**instance.application(lab, name), "name": APPLICATION} for name in (first, second)]
    scene.cluster = {
        "apps": [{**app, "health": ["key"]} for app in apps],
        "health": portal.checks(),
        "health_limits": {"backup_hours": "off"},
        "health_secrets": instance.secrets_of(portal, base),
        "replication_password": {"env": ENVIRONMENT},
    }
    return scene


def watch(scene: Scene, markers: Markers) -> Watch:
    """Say where everything of this scene is written, and the one file that holds the password."""
    nodes = (scene.primary, scene.standby)
    folders: dict[str, tuple[Path, ...]] = {
        "output and logging of runs": (scene.base / "told",),
        "inventory": (scene.base / "inventory.yaml",),
        "commands over SSH": tuple(node.host.directory / "journal" for node in nodes),
        "server log": tuple(node.directory / "log" for node in nodes),
        "the nodes' files": tuple(node.directory for node in nodes),
    }
    kept = {scene.live / "pgsql_tmp_replication.pass"}
    return Watch(markers, scene.base / "state", folders, kept)
