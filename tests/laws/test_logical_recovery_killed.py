"""logical-recovery killed at any moment, and started again: it goes on, and loads nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from tests.lab.loopback import LoopbackLab
from tests.lab.trouble import unreachable
from tests.laws import logical_recovery_scene
from tests.laws.logical_recovery_scene import (
    Recoverable,
    assert_recovered,
    blocked,
    forget,
    loads,
    recover,
    rules,
    store,
    unblock,
)
from tests.laws.outcome import Point

pytestmark = pytest.mark.lab

POINTS = [
    *map(Point, ("4", "5", "6", "7", "8", "9")),
    Point("10", 6),
    Point("10"),
    Point("11", transfer=True),
    Point("11", 3),
    *map(Point, ("11", "12", "13", "14", "15")),
    Point("16", 1),
    *map(Point, ("16", "17")),
]

HALF_DONE = (Point("11", transfer=True), Point("11"))


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
        if point in HALF_DONE:
            _no_backup_takes_it(damaged)
        if point == Point("14"):
            _latest_is_refused(damaged)
    runs.append(recover(damaged, backup="latest"))
    assert runs[-1].completed, runs[-1].said
    assert_recovered(damaged)
    assert loads(runs) == 2
    clones = [line for run in runs for line in run.commands if " standby clone " in line]
    assert len(clones) == 1


def test_subscriptions_of_what_is_half_loaded_keep_no_run_from_loading_it_anew(
    damaged: Recoverable,
) -> None:
    """A database that has one cannot be dropped."""
    first = damaged.nodes[0]
    name = store(damaged, logical_recovery_scene.STAMP + 61, _subscribed(damaged.sql))
    failed = recover(damaged, backup=name)
    forget(damaged, name)
    assert failed.ended == "LoadFailed", failed.said
    assert "nothing_there" in failed.said
    assert first.psql("SELECT count(*) FROM pg_subscription") == "2"
    again = recover(damaged, at=Point("11"))
    assert again.ended == "killed", again.said
    assert first.psql("SELECT count(*) FROM pg_subscription") == "0"
    assert loads([failed, again]) == 2


def _subscribed(sql: bytes) -> bytes:
    """Let two databases of a dump have subscriptions, as pg_dump writes them, and then an error."""
    made = b"CREATE SUBSCRIPTION \"o'ur s\" CONNECTION 'host=/nowhere' PUBLICATION p WITH (%s);\n"
    for name in (b"ledger", b"postgres"):
        at = sql.index(b"SET row_security", sql.index(b"\n\\connect %s\n" % name))
        sql = sql[:at] + made % b"connect = false, slot_name = 's'" + sql[at:]
    end = sql.rindex(b"SET row_security")
    return sql[:end] + b"ALTER TABLE public.nothing_there OWNER TO postgres;\n" + sql[end:]


def test_a_port_that_a_killed_run_has_left_closed_is_opened_by_the_next_whatever_becomes_of_it(
    damaged: Recoverable,
) -> None:
    first, second = damaged.nodes
    for trouble_of, answer, ended in (
        (unreachable(second.host), "approve", "CheckFailed"),
        (nullcontext(), "refuse", "RefusedByPerson"),
    ):
        assert recover(damaged, at=Point("8")).ended == "killed"
        assert recover(damaged, dry_run=True).completed
        assert rules(first)
        with trouble_of:
            outcome = recover(damaged, answer=answer)
        assert outcome.ended == ended, outcome.said
        assert "may be closed still" not in outcome.said
        assert not blocked(damaged)


def _no_backup_takes_it(scene: Recoverable) -> None:
    """What is not proven is in no backup: it would be the newest, and loaded as the whole."""
    there = sorted(scene.folder.iterdir())
    scene.cluster_settings |= {
        "components": {"databases": ["shop"], "directory": f"{scene.base}/dumps/{{node}}"},
        "manager": {"url": "https://127.0.0.1:1", "instance": "a9s-pg"},
        "manager_password": {"file": str(scene.base / "key")},
    }
    try:
        for runbook in ("logical-backup", "component-backup", "managed-backup"):
            outcome = scene.run(runbook)
            assert outcome.ended == "CheckFailed", outcome.said
            assert f"that of {scene.id} has not opened what it has loaded" in outcome.said
    finally:
        for name in ("components", "manager", "manager_password"):
            del scene.cluster_settings[name]
    assert sorted(scene.folder.iterdir()) == there
    files = scene.run("base-backup", dry_run=True)
    assert f"the recovery of {scene.id} on {scene.primary.name} is half done" in files.told


def _latest_is_refused(scene: Recoverable) -> None:
    """What is proven goes on only where its backup is named: another latest would replace it."""
    outcome = recover(scene, backup="latest")
    assert outcome.ended == "CheckFailed", outcome.said
    assert f"backup={scene.id} brings it to its end" in outcome.said
