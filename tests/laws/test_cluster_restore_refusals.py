"""Bad input of cluster-restore: refused before the first change, with what to do next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import split, trouble
from tests.lab.loopback import LoopbackLab
from tests.lab.repmgr import configuration
from tests.laws import cluster_restore_scene
from tests.laws.cluster_restore_scene import leftovers
from tests.laws.replication_scene import Scene

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    base = tmp_path_factory.mktemp("refusals")
    return cluster_restore_scene.build(loopback_lab, "crd", "cre", base=base)


@pytest.fixture
def pair(scene: Scene) -> Iterator[Scene]:
    """A primary and its standby, with the settings as they were."""
    yield scene
    scene.node_settings.clear()
    scene.cluster_settings.clear()


@pytest.fixture
def changed(pair: Scene) -> Iterator[Scene]:
    """The same, for a test that changes the servers."""
    yield pair
    pair.reset()


def refused(scene: Scene, *said: str, **arguments: Any) -> None:
    """Run a restore that must be refused; every server and directory stays as it is."""
    before = scene.servers()
    outcome = scene.run("cluster-restore", **{"backup": scene.backup, **arguments})
    assert not outcome.completed
    for words in said:
        assert words in outcome.said, outcome.said
    assert "HINT:" in outcome.said
    assert scene.servers() == before
    assert [leftovers(node) for node in scene.nodes] == [[]] * len(scene.nodes)
    assert not [entry for entry in outcome.record if entry["event"] == "intent"]


def planned(scene: Scene, **arguments: Any) -> str:
    """Give the plan of a restore that is possible."""
    outcome = scene.run("cluster-restore", backup=scene.backup, dry_run=True, **arguments)
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    return outcome.plan.markdown()


def test_an_unknown_backup_is_refused(pair: Scene) -> None:
    refused(pair, "there is no backup 'backup_20000101000000'", backup="backup_20000101000000")


def test_names_that_are_no_nodes_are_refused(pair: Scene) -> None:
    refused(pair, "without names no node: nobody", without="nobody")
    refused(pair, "names 'nobody', which is no node", primary="nobody")


def test_another_primary_than_the_living_one_is_refused(pair: Scene) -> None:
    refused(pair, "crd is the primary, and the parameter primary names cre", primary="cre")


def test_the_backup_of_another_system_is_refused(pair: Scene) -> None:
    path = pair.store / pair.backup / "backup.json"
    kept = path.read_text()
    path.write_text(json.dumps(json.loads(kept) | {"system_identifier": "7000000000000000001"}))
    try:
        refused(pair, "this very database system")
    finally:
        path.write_text(kept)


def test_a_node_without_repmgr_in_its_settings_is_refused(pair: Scene) -> None:
    pair.node_settings["repmgr"] = None
    refused(pair, "has no repmgr in its settings")


def test_one_repmgr_conf_for_two_nodes_is_refused(pair: Scene) -> None:
    pair.node_settings["repmgr"] = {"configuration": str(configuration(pair.nodes[0]))}
    refused(pair, "two nodes have the same node_id")


def test_a_standby_whose_host_does_not_answer_is_refused_unless_it_is_left_out(
    pair: Scene,
) -> None:
    with trouble.unreachable(pair.nodes[1].host):
        refused(pair, "the host of cre answers", "without=cre")
        assert "LEFT OUT: cre:** not reached: keep it off" in planned(pair, without="cre")


def test_an_application_that_cannot_be_reached_is_refused(pair: Scene) -> None:
    with trouble.unreachable(pair.apps[0].host):
        refused(pair, "cannot reach")


def test_a_single_instance_restore_names_this_runbook(pair: Scene) -> None:
    outcome = pair.run("instance-restore", backup=pair.backup)
    assert "has 2 nodes" in outcome.said
    assert "cluster-restore" in outcome.said


def test_two_primaries_are_refused_until_one_is_named(changed: Scene) -> None:
    split.promoted_by_hand(changed.nodes[1])
    refused(changed, "2 nodes accept writes", "crd: primary", "cre: primary")
    assert "cre: named by the parameter primary" in planned(changed, primary="cre")


def test_a_node_that_only_repmgr_knows_is_refused_unless_it_is_left_out(changed: Scene) -> None:
    split.ghost(changed.primary)
    refused(changed, "only repmgr knows ghost (id 99)", "without=ghost")
    assert "the settings name every node that repmgr knows" in planned(changed, without="ghost")


def test_a_standby_that_would_not_come_up_is_told_before_anyone_approves(changed: Scene) -> None:
    first = changed.primary
    assert "TOO SMALL" not in planned(changed)
    with (first.data_directory / "postgresql.conf").open("a") as file:
        file.write("max_connections = 250\n")
    first.stop()
    first.start()
    assert "TOO SMALL: cre:** max_connections 100 < 250" in planned(changed)


def test_no_room_for_the_clone_on_a_standby_is_refused(changed: Scene) -> None:
    standby = changed.nodes[1]
    standby.stop()
    with trouble.small_disk(standby, free=8 << 20):
        standby.start()
        refused(changed, "cre has room for a clone beside its old data", "without=cre")
        standby.stop("immediate")


def test_no_room_beside_the_living_data_of_the_primary_is_refused(changed: Scene) -> None:
    primary = changed.nodes[0]
    primary.stop()
    with trouble.small_disk(primary, free=8 << 20):
        primary.start()
        refused(changed, "there is no room beside the living data", "remove_old=true")
        primary.stop("immediate")
