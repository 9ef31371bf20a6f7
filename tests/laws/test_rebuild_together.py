"""Several standbys cloned at the same time: hardly longer than one, and no failure hides one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from runbook.errors import RunbookError
from runbook.inventory import read_inventory
from runbook.postgres import Node
from runbook.run import Mode, Run, opened
from runbook.watch import LogWatcher
from tasks import clones
from tests.lab import trouble
from tests.lab.loopback import LoopbackLab
from tests.laws import replication_scene
from tests.laws.rebuild_troubles import assert_whole, lose, slow_down
from tests.laws.replication_scene import Scene

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    base = tmp_path_factory.mktemp("together")
    return replication_scene.build(loopback_lab, "ta", "tb", "tc", base=base, apps=0)


@pytest.fixture
def healthy(scene: Scene) -> Iterator[Scene]:
    scene.reset()
    yield scene
    scene.halt()


def nodes(scene: Scene) -> dict[str, Node]:
    cluster = read_inventory(scene.runner.inventory).cluster(scene.name)
    return {node.name: node for node in cluster.nodes}


def rebuild(scene: Scene, *names: str) -> tuple[Run, float]:
    """Rebuild the named standbys in this process; give the run and its seconds."""
    known = nodes(scene)
    run = Run("1", "demo", scene.name, {}, Mode.ACT, LogWatcher())
    began = time.monotonic()
    with opened(run):
        clones.rebuild([known[name] for name in names], known["ta"])
    return run, time.monotonic() - began


def test_two_take_hardly_longer_than_one(healthy: Scene) -> None:
    for name in ("tb", "tc"):
        slow_down(healthy.node(name), "6M")
        lose(healthy.node(name))
    _, one = rebuild(healthy, "tb")
    lose(healthy.node("tb"))
    run, two = rebuild(healthy, "tb", "tc")
    assert_whole(healthy, "ta", "tb", "tc")
    assert two <= 1.3 * one, f"two took {two:.1f} s, one {one:.1f} s"
    assert next(line.text for line in run.plan().lines).endswith("tb, and none will be started")


def test_one_that_fails_lets_the_other_come_to_its_end(healthy: Scene) -> None:
    lose(healthy.node("tb"))
    lose(healthy.node("tc"))
    with (
        trouble.unreachable(healthy.node("tb").host),
        pytest.raises(RunbookError, match="cannot reach"),
    ):
        rebuild(healthy, "tb", "tc")
    assert list(healthy.streaming()) == ["tc"]
    rebuild(healthy, "tb", "tc")
    assert_whole(healthy, "ta", "tb", "tc")
    assert len(healthy.aside(healthy.node("tc"))) == 1
