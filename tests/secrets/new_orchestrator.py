"""A new Orchestrator, in place of the one on the single instance, which lives on afterwards."""

from __future__ import annotations

from tests.lab import orchestrator, processes
from tests.laws import inventory
from tests.secrets.instance import Scene
from tests.secrets.watch import Watch


def run(scene: Scene, watch: Watch) -> None:
    """Move the Orchestrator to a machine of its own, under the same cluster's name."""
    old, new = scene.node, scene.lab.postgres("moved")
    new.psql(f"CREATE ROLE {orchestrator.DATABASE} LOGIN")
    home = new.directory / "orchestrator"
    home.mkdir()
    program = orchestrator.install(new, home, role="postgres")
    processes.run(["chown", "-R", "postgres:postgres", home])
    watch.kept.add(home / "cluster.conf")
    journal = (new.host.directory / "journal", new.host.directory / "sshd.log")
    watch.folders["the new Orchestrator"] = (new.directory, *journal)
    kept, settings = scene.cluster, scene.cluster["orchestrator"]
    moved = {
        "program": str(program),
        "config": f"{home}/cluster.conf",
        "directory": f"{home}/work",
        "previous": {**inventory.server(old), "shared": True},
    }
    server = inventory.server(new)
    scene.cluster = {**kept, "nodes": [server], "orchestrator": {**settings, **moved}}
    watch.done("orchestrator-restore", scene.run("orchestrator-restore", new_address=True))
    assert not old.is_running()
    scene.cluster = kept
    new.stop("immediate")
    old.start()
