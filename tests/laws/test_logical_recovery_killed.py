"""logical-recovery killed at any moment, and started again: it goes on, and loads nothing twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import logical_recovery_scene
from tests.laws.logical_recovery_scene import (
    Recoverable,
    assert_recovered,
    loads,
    recover,
    unblock,
)
from tests.laws.outcome import Point

pytestmark = pytest.mark.lab

POINTS = [
    *map(Point, ("5", "8")),
    Point("10", 6),
    Point("10"),
    Point("11", transfer=True),
    Point("11", 3),
    *map(Point, ("11", "12", "14", "15")),
    Point("16", 1),
    *map(Point, ("16", "17")),
]


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Recoverable:
    base = tmp_path_factory.mktemp("lrk")
    return logical_recovery_scene.build(loopback_lab, "lrk", "lrl", base=base)


@pytest.fixture
def damaged(scene: Recoverable) -> Iterator[Recoverable]:
    """The pair as it was after the damage."""
    scene.reset()
    yield scene
    scene.halt()
    unblock(scene)


def test_killed_at_any_moment_it_goes_on_and_loads_nothing_twice(damaged: Recoverable) -> None:
    runs = []
    for point in POINTS:
        killed = recover(damaged, at=point)
        assert killed.ended == "killed", f"{point}: {killed.said}"
        runs.append(killed)
        if point == Point("14"):
            _latest_is_refused(damaged)
    runs.append(recover(damaged, backup="latest"))
    assert runs[-1].completed, runs[-1].said
    assert_recovered(damaged)
    assert loads(runs) == 2
    clones = [line for run in runs for line in run.commands if " standby clone " in line]
    assert len(clones) == 1


def _latest_is_refused(scene: Recoverable) -> None:
    """What is proven goes on only where its backup is named: another latest would replace it."""
    outcome = recover(scene, backup="latest")
    assert outcome.ended == "CheckFailed", outcome.said
    assert f"backup={scene.id} brings it to its end" in outcome.said
