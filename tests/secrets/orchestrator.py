"""An Orchestrator on the single instance: its configuration holds secrets, and so its backups."""

from __future__ import annotations

from pathlib import Path

from tests.lab import orchestrator, processes
from tests.secrets.instance import Scene
from tests.secrets.markers import Markers
from tests.secrets.watch import Watch


def run(scene: Scene, watch: Watch) -> None:
    """Back the Orchestrator up; once its program shows all that it cannot read."""
    config = _built(scene, watch.markers)
    watch.kept.add(config)
    watch.done("orchestrator-backup", scene.run("orchestrator-backup"))
    whole = config.read_text()
    config.write_text(f"#\n{whole}")
    told = watch.keep("orchestrator-backup", scene.run("orchestrator-backup"))
    assert '"secret_key": "***"' in told.said
    config.write_text(whole)


def _built(scene: Scene, markers: Markers) -> Path:
    """Make the Orchestrator's database, its program, and its configuration."""
    orchestrator.fill(scene.node)
    home = scene.node.directory / "orchestrator"
    home.mkdir()
    program = orchestrator.install(scene.node, home, role="postgres")
    config = home / "cluster.conf"
    access, secret = markers.secret("access key"), markers.secret("secret key")
    orchestrator.configure(config, access=access, secret=secret)
    processes.run(["chown", "-R", "postgres:postgres", home])
    scene.cluster |= {
        "orchestrator": {
            "store": "store",
            "program": str(program),
            "user": "postgres",
            "config": str(config),
            "directory": f"{home}/work",
        }
    }
    return config
