"""A repmgr cluster with a backup in its store, damaged, ready to go back as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab import judge, processes, shop, split
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.laws import replication_scene
from tests.laws.outcome import Outcome, Point
from tests.laws.replication_scene import Scene

GHOST = 99
"""The id of a node that the metadata in the backup know, and that no longer exists."""


def build(lab: LoopbackLab, *names: str, base: Path, tablespaces: Sequence[str] = ()) -> Scene:
    """Make a cluster, back it up with a node in its metadata that is then gone, and damage it."""
    scene = replication_scene.build(lab, *names, base=base, tablespaces=tablespaces)
    split.ghost(scene.primary, GHOST)
    scene.back_up()
    scene.primary.psql(f"DELETE FROM repmgr.nodes WHERE node_id = {GHOST}", database="repmgr")
    scene.primary.psql(
        "INSERT INTO customers (name) SELECT 'later ' || n FROM generate_series(1, 50) n;"
        "DELETE FROM orders WHERE id % 3 = 0",
        database="shop",
    )
    scene.keep()
    return scene


def restore(scene: Scene, *, at: Point | None = None, **arguments: Any) -> Outcome:
    """Run cluster-restore with the scene's backup."""
    return scene.run("cluster-restore", at=at, backup=scene.backup, **arguments)


def assert_restored(
    scene: Scene, primary: PostgresNode, *standbys: PostgresNode, timeline: int = 2
) -> None:
    """Judge from outside that all nodes hold the backup, one of them writes, the others follow."""
    assert judge.writable(scene.nodes) == (primary.name,)
    for node in (primary, *standbys):
        assert shop.fingerprint(node) == scene.fingerprints, node.name
        assert judge.timeline(node) == timeline
        assert [path.name for path in judge.servers(node)] == ["main"]
        assert leftovers(node) == []
        assert not (node.directory / "main.stopped").exists(), node.name
    ids = {node.name: scene.nodes.index(node) + 1 for node in scene.nodes}
    assert set(judge.streaming(primary, scene.nodes)) == {node.name for node in standbys}
    wanted = {f"repmgr_slot_{ids[node.name]}": True for node in standbys}
    assert {slot.name: slot.active for slot in judge.slots(primary).values()} == wanted
    shown = judge.cluster_show(scene.cluster, primary)
    assert shown[ids[primary.name]] == (0, 0)
    assert all(shown[ids[node.name]] == (0, 1) for node in standbys)
    assert GHOST not in shown
    complains = scene.cluster.repmgr(primary, "cluster", "show", check=False).returncode
    assert (complains == 0) == (len(standbys) + 1 == len(scene.nodes))


def assert_in_service(scene: Scene, primary: PostgresNode) -> None:
    """Judge that the application writes to the primary, and that a standby shows it."""
    before = rows(primary)
    processes.until(lambda: rows(primary) > before, "the application writes", within=60)


def rows(node: PostgresNode) -> int:
    """Count what the application has written."""
    return int(node.psql("SELECT count(*) FROM counted_rows", database="shop"))


def leftovers(node: PostgresNode) -> list[str]:
    """Name what was made ready on a node and never took its place."""
    places = (node.directory, node.data_directory, *node.tablespaces.values())
    found = [path for place in places if place.is_dir() for path in place.iterdir()]
    return sorted(str(p) for p in found if ".incoming-" in p.name or "_incoming-" in p.name)


def destructive(outcomes: Sequence[Outcome]) -> list[str]:
    """List what runs did that must not be done twice: data set aside, clones made."""
    done = [command for outcome in outcomes for command in outcome.commands]
    return [line for line in done if " standby clone " in line or ".aside-" in line]
