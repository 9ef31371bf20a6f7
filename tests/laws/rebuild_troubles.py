"""What standbys are rebuilt after, and what an interrupted rebuild must not leave behind."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab import judge, processes
from tests.lab.postgres import PostgresNode
from tests.lab.repmgr import configuration
from tests.laws.replication_scene import Scene


def lose(node: PostgresNode) -> None:
    """Stop a server as power loss would, and lose its tables."""
    node.stop("immediate")
    for path in (node.data_directory / "base").iterdir():
        shutil.rmtree(path)


def slow_down(node: PostgresNode, rate: str = "8M") -> None:
    """Let repmgr clone this node with so many bytes a second at most, until the next reset."""
    with configuration(node).open("a") as file:
        file.write(f"pg_basebackup_options = '--max-rate={rate}'\n")


def incoming(node: PostgresNode) -> list[str]:
    """Name everything that a clone has left beside or inside the living data."""
    places = (node.directory, node.data_directory, *node.tablespaces.values())
    found = [path for place in places if place.is_dir() for path in place.iterdir()]
    return sorted(str(path) for path in found if "incoming-" in path.name)


def assert_nothing_left(scene: Scene, node: PostgresNode) -> None:
    """Judge what a run that did not come to its end has left: nothing that runs or looks whole."""
    for each in scene.nodes:
        strays = judge.strays(each)
        assert not strays, strays
        if each.is_running():
            processes.until(lambda each=each: not _clones(each), "clones' walsenders have ended")
    assert not [
        path for path in incoming(node) if (Path(path) / "pgsql_tmp_restored.json").exists()
    ]


def assert_whole(scene: Scene, primary: str, *standbys: str) -> None:
    """Judge from outside: one writer, everybody streams through a slot, and holds the same."""
    first = scene.node(primary)
    assert scene.writable() == (primary,)
    streams = scene.streaming(first)
    assert set(streams) == set(standbys)
    assert {stream.timeline for stream in streams.values()} == {judge.timeline(first)}
    numbers = {name: number for number, name in enumerate((n.name for n in scene.nodes), 1)}
    slots = {name: (slot.active, slot.wal_status) for name, slot in scene.slots(first).items()}
    assert slots == {f"repmgr_slot_{numbers[name]}": (True, "reserved") for name in standbys}
    shown = {numbers[primary]: (0, 0)} | {numbers[name]: (0, 1) for name in standbys}
    for name in (primary, *standbys):
        node = scene.node(name)
        assert scene.show(node) == shown
        assert len(judge.servers(node)) == 1
        assert scene.fingerprint(node) == scene.fingerprint(first)


def own_line(node: PostgresNode) -> Path:
    """Write into a node's postgresql.conf what no other node has; give the file."""
    path = node.data_directory / "postgresql.conf"
    with path.open("a") as file:
        file.write(f"# of {node.name} alone\n")
    return path


def _clones(node: PostgresNode) -> str:
    return node.psql(
        "SELECT application_name FROM pg_stat_replication WHERE application_name LIKE 'clone of %'"
    )
