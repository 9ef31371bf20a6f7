"""cluster-restore killed at any moment, and started again: it goes on, and repeats nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import split
from tests.lab.loopback import LoopbackLab
from tests.laws import cluster_restore_scene
from tests.laws.cluster_restore_scene import (
    GHOST,
    assert_in_service,
    assert_restored,
    destructive,
    restore,
)
from tests.laws.outcome import Point
from tests.laws.replication_scene import Scene

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    base = tmp_path_factory.mktemp("killed")
    return cluster_restore_scene.build(loopback_lab, "crk", "crl", base=base, tablespaces=["cold"])


@pytest.fixture
def damaged(scene: Scene) -> Iterator[Scene]:
    """A primary and its standby as they were after the damage."""
    scene.reset()
    yield scene
    scene.halt()


def test_killed_after_every_step_it_goes_on_and_repeats_nothing(damaged: Scene) -> None:
    runs = []
    for step in ("3", "5", "6", "7", "8", "9", "10", "11", "12"):
        killed = restore(damaged, at=Point(step))
        assert killed.ended == "killed", f"{step}: {killed.said}"
        runs.append(killed)
    runs.append(restore(damaged))
    assert runs[-1].completed, runs[-1].said
    assert_restored(damaged, *damaged.nodes)
    assert_in_service(damaged, damaged.nodes[0])
    assert len([line for line in destructive(runs) if "standby clone" in line]) == 1
    assert [len(damaged.aside(node)) for node in damaged.nodes] == [1, 1]
    assert float(str(runs[-1].memory["recovery time seconds"])) > 0
    assert restore(damaged).changed == 0


INSIDE = [
    Point("3", 3),
    Point("7", 1),
    Point("7", 2),
    Point("7", 3),
    Point("8", 2),
    Point("9", 2),
    Point("10", 2),
    Point("11", 6),
    Point("13", 1),
]


def test_killed_between_its_actions_it_goes_on(damaged: Scene) -> None:
    for point in INSIDE:
        killed = restore(damaged, at=point)
        assert killed.ended == "killed", f"{point}: {killed.said}"
    outcome = restore(damaged)
    assert outcome.completed, outcome.said
    assert_restored(damaged, *damaged.nodes)
    assert_in_service(damaged, damaged.nodes[0])
    assert [len(damaged.aside(node)) for node in damaged.nodes] == [1, 1]


def test_commits_that_wait_for_standbys_hold_nothing_up(damaged: Scene) -> None:
    kept = (damaged.backup, damaged.fingerprints)
    primary, standby = damaged.nodes
    primary.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.reload()
    split.ghost(primary, GHOST)
    try:
        damaged.back_up()
        primary.psql(f"DELETE FROM repmgr.nodes WHERE node_id = {GHOST}", database="repmgr")
        outcome = restore(damaged)
        assert outcome.completed, outcome.said
        assert "synchronous_standby_names = '*': commits wait" in outcome.told
        assert_restored(damaged, primary, standby)
        assert_in_service(damaged, primary)
    finally:
        damaged.backup, damaged.fingerprints = kept
