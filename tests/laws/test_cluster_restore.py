"""The laws of DESIGN section 4 for cluster-restore."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.lab import judge, processes, shop, trouble
from tests.lab.loopback import LoopbackLab
from tests.laws import cluster_restore_scene
from tests.laws.cluster_restore_scene import assert_in_service, assert_restored, restore
from tests.laws.outcome import Point
from tests.laws.replication_scene import Scene

pytestmark = pytest.mark.lab

STEPS = [str(number) for number in range(1, 14)]


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    base = tmp_path_factory.mktemp("cr")
    return cluster_restore_scene.build(loopback_lab, "cra", "crb", "crc", base=base)


@pytest.fixture
def damaged(scene: Scene) -> Iterator[Scene]:
    """The whole cluster as it was after the damage."""
    scene.reset()
    yield scene
    scene.halt()


def test_a_dry_run_changes_nothing_and_prints_every_step(damaged: Scene) -> None:
    with damaged.unchanged():
        outcome = restore(damaged, dry_run=True)
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    assert [number for number, _ in outcome.plan.headings] == STEPS
    shown = outcome.plan.markdown()
    for node in damaged.nodes:
        assert f"pg_ctl stop -D {node.data_directory}" in shown
        assert f"mv {node.data_directory} {node.data_directory}.aside-" in shown
    assert shown.count("standby clone") == shown.count("standby register -F") == 2
    assert "primary register -F" in shown
    assert "LOST on every node" in shown


def test_all_nodes_go_back_and_a_second_run_changes_nothing(damaged: Scene) -> None:
    first, *others = damaged.nodes
    outcome = restore(damaged)
    assert outcome.completed, outcome.said
    assert_restored(damaged, first, *others)
    assert_in_service(damaged, first)
    assert "ghost (id 99) is in no settings" in str(outcome.plan)
    judge.amcheck(first)
    assert [len(damaged.aside(node)) for node in damaged.nodes] == [1, 1, 1]
    recovery = float(str(outcome.memory["recovery time seconds"]))
    assert 0 < recovery < float(str(outcome.memory["redundancy seconds"]))
    with damaged.unchanged():
        second = restore(damaged)
    assert (second.ended, second.changed, second.said) == ("completed", 0, "")
    _discard(damaged)


def _discard(scene: Scene) -> None:
    """What stands aside on any node can be removed for good."""
    for node in (scene.nodes[0], scene.nodes[2]):
        stamp = scene.aside(node)[0].name.rpartition("-")[2]
        discarded = scene.run("discard-aside", node=node.name, stamp=stamp)
        assert discarded.completed, discarded.said
    assert [len(scene.aside(node)) for node in scene.nodes] == [0, 1, 0]
    assert_restored(scene, *scene.nodes)


def test_cancelled_it_leaves_nothing_stray_and_goes_on(damaged: Scene) -> None:
    before, old = damaged.servers(), shop.fingerprint(damaged.nodes[0])
    beside = restore(damaged, at=Point("3", 3, signal=signal.SIGINT))
    assert beside.ended == "KeyboardInterrupt"
    assert damaged.strays() == []
    assert cluster_restore_scene.leftovers(damaged.nodes[0]) == []
    assert damaged.servers() == before
    cloning = restore(damaged, at=Point("11", 6, signal=signal.SIGTERM))
    assert cloning.ended == "_Terminated"
    assert damaged.strays() == []
    assert judge.writable(damaged.nodes) == (damaged.nodes[0].name,)
    assert_in_service(damaged, damaged.nodes[0])
    outcome = restore(damaged)
    assert outcome.completed, outcome.said
    assert_restored(damaged, *damaged.nodes)
    _go_back_by_hand(damaged, old)


def _go_back_by_hand(scene: Scene, old: str) -> None:
    """The way back on the runbook's page: what stands aside is a whole cluster."""
    for app in scene.apps:
        app.stop()
    for node in scene.nodes:
        node.stop()
        node.data_directory.rename(node.directory / "main.undone")
        scene.aside(node)[0].rename(node.data_directory)
    for node in scene.nodes:
        node.start()
    others = {node.name for node in scene.nodes[1:]}
    streams = lambda: set(judge.streaming(scene.nodes[0], scene.nodes)) == others  # noqa: E731
    processes.until(streams, "the old standbys follow the old primary", within=60)
    assert [shop.fingerprint(node) for node in scene.nodes] == [old] * 3


def test_refused_it_takes_back_what_it_made_ready(damaged: Scene) -> None:
    before = [shop.fingerprint(node) for node in damaged.nodes]
    outcome = restore(damaged, answer="refuse")
    assert outcome.ended == "RefusedByPerson"
    assert [shop.fingerprint(node) for node in damaged.nodes] == before
    assert cluster_restore_scene.leftovers(damaged.nodes[0]) == []


def test_with_all_down_and_one_host_lost_the_named_node_becomes_the_primary(
    damaged: Scene,
) -> None:
    lost, new, other = damaged.nodes
    for node in damaged.nodes:
        trouble.kill(node)
    with trouble.unreachable(lost.host):
        guessed = restore(damaged, without=lost.name)
        assert "no nodes accept writes: which becomes the primary?" in guessed.said
        assert "in archive recovery" in guessed.said
        outcome = restore(damaged, primary=new.name, without=lost.name)
        assert outcome.completed, outcome.said
        assert_restored(damaged, new, other)
        assert f"{lost.name} was left out" in outcome.told
        row = "SELECT type, active, upstream_node_id FROM repmgr.nodes WHERE node_id = 1"
        assert new.psql(row, database="repmgr") == "standby|f|2"
        assert restore(damaged, without=lost.name).changed == 0
    back = damaged.run("standby-rebuild", standby=lost.name)
    assert back.completed, back.said
    assert_restored(damaged, new, other, lost)


def test_begun_on_one_node_it_ends_on_another_and_counts_as_begun_nowhere(damaged: Scene) -> None:
    first, new, other = damaged.nodes
    assert restore(damaged, at=Point("6")).ended == "killed"
    assert (first.directory / "main.stopped").exists()
    outcome = restore(damaged, primary=new.name)
    assert outcome.completed, outcome.said
    assert_restored(damaged, new, first, other)
    assert restore(damaged).changed == 0


def test_on_the_old_timeline_a_revived_stale_standby_is_cloned_all_the_same(
    damaged: Scene,
) -> None:
    first, stale, other = damaged.nodes
    killed = restore(damaged, timeline="keep", at=Point("10"))
    assert killed.ended == "killed", killed.said
    first.psql("SELECT pg_create_physical_replication_slot('repmgr_slot_2')")
    for _ in range(2):  # past everything that the stale one has written: now it could follow
        first.psql("CREATE TEMP TABLE some_wal (); SELECT pg_switch_wal()")
    stale.start()
    assert shop.fingerprint(stale) != damaged.fingerprints
    outcome = restore(damaged, timeline="keep")
    assert outcome.completed, outcome.said
    assert_restored(damaged, first, stale, other, timeline=1)


def test_repmgrd_is_kept_quiet_and_works_again_afterwards(damaged: Scene) -> None:
    daemons = damaged.daemons(automatic=True)
    daemons.start()
    outcome = restore(damaged)
    assert outcome.completed, outcome.said
    assert_restored(damaged, *damaged.nodes)
    processes.until(
        lambda: all(daemons.pid(node) and not daemons.paused(node) for node in damaged.nodes),
        "every repmgrd works",
        within=60,
    )
    promoted = "SELECT count(*) FROM repmgr.events WHERE event ~ 'promote'"
    assert damaged.nodes[0].psql(promoted, database="repmgr") == "0"
