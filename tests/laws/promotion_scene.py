"""Three nodes of a repmgr cluster, one application that is repointed, ready to be promoted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import judge, processes, trouble
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.laws import replication_scene
from tests.laws.replication_scene import Scene

_SETTINGS = """\
# The shop's application. It reads this file when it starts, and only then.
DATABASE_HOST={address}
PGCONNECT_TIMEOUT=2
"""


def build(lab: LoopbackLab, *names: str, base: Path) -> Scene:
    """Make the cluster; its application's address stands in a file that the settings name."""
    scene = replication_scene.build(lab, *names, base=base)
    (app,) = scene.apps
    app.settings.write_text(_SETTINGS.format(address=scene.nodes[0].host.address))
    variable = {"variable": "DATABASE_HOST", "file": str(app.settings)}
    scene.app_settings = {"database": [variable]}
    scene.keep()
    return scene


@contextmanager
def caught_up(scene: Scene) -> Iterator[None]:
    """Let the application stand still for a block that begins when the standbys have everything.

    What a primary has written when it dies is else now and then with one standby, or with none.
    """
    primary, *standbys = scene.nodes
    running = [node for node in standbys if node.is_running()]
    with scene.at_rest():
        processes.until(
            lambda: {judge.received(node) for node in running} == {judge.position(primary)},
            "the standbys have received everything",
        )
        yield


def kill(scene: Scene) -> None:
    """Kill the first primary when the standbys have received all of it; the application goes on."""
    with caught_up(scene):
        trouble.kill(scene.nodes[0])


def assert_promoted(scene: Scene, new: PostgresNode, *followers: PostgresNode) -> None:
    """Judge from outside: one writable node, all others follow it, no slot too many or too few."""
    assert judge.writable(scene.nodes) == (new.name,)
    assert judge.timeline(new) > 1
    streams = judge.streaming(new, scene.nodes)
    assert set(streams) == {node.name for node in followers}
    assert {stream.timeline for stream in streams.values()} <= {judge.timeline(new)}
    wanted = {f"repmgr_slot_{scene.nodes.index(node) + 1}" for node in followers}
    assert {slot.name: slot.active for slot in judge.slots(new).values()} == dict.fromkeys(
        wanted, True
    )
    for node in followers:
        assert judge.upstream(node) == new.host.address
        assert judge.slots(node) == {}
    seen = judge.cluster_show(scene.cluster, new)
    assert [number for number, (_, role) in seen.items() if role == 0] == [
        scene.nodes.index(new) + 1
    ]


def assert_in_service(scene: Scene, node: PostgresNode) -> None:
    """Judge that the application writes to a node, as its file says."""
    (app,) = scene.apps
    assert app.database == node.host.address
    assert app.pid
    before = rows(node)
    processes.until(lambda: rows(node) > before, "the application writes", within=60)


def rows(node: PostgresNode) -> int:
    """Count the rows that clients have written."""
    return int(node.psql("SELECT count(*) FROM counted_rows", database="shop"))
