"""A restore that was made ready for something else, or lost a part: never used as it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import shop
from tests.lab.loopback import LoopbackLab
from tests.laws import restore_scene
from tests.laws.outcome import Point
from tests.laws.restore_scene import Scene, assert_restored

pytestmark = pytest.mark.lab

READY = Point("2")
HALF_IN_PLACE = Point("6", 3)
TIMELINE = "CHECKPOINT; SELECT timeline_id FROM pg_control_checkpoint()"
WHERE = "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'cold'"


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return restore_scene.build(loopback_lab, "wish", tmp_path_factory.mktemp("wish"))


@pytest.fixture
def damaged(scene: Scene) -> Iterator[Scene]:
    scene.reset()
    yield scene
    scene.node.stop("immediate")
    for left in scene.node.tablespaces["cold"].glob("pgsql_tmp_*"):
        shutil.rmtree(left)


def other_place(scene: Scene) -> Path:
    """Make an empty directory that a tablespace can be mapped to."""
    place = scene.node.directory / "other"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)
    shutil.chown(place, "postgres", "postgres")
    return place


def test_another_map_is_not_served_with_what_was_made_ready_without_it(damaged: Scene) -> None:
    assert damaged.restore(at=READY).ended == "killed"
    cold, other = damaged.node.tablespaces["cold"], other_place(damaged)
    outcome = damaged.restore(tablespace_map=f"{cold}={other}")
    assert outcome.completed, outcome.said
    assert damaged.node.psql(WHERE) == str(other)
    assert shop.fingerprint(damaged.node) == damaged.fingerprint


def test_another_timeline_is_not_served_with_what_was_made_ready_to_fork(damaged: Scene) -> None:
    assert damaged.restore(at=READY).ended == "killed"
    outcome = damaged.restore(timeline="keep")
    assert outcome.completed, outcome.said
    assert_restored(damaged)
    assert damaged.node.psql(TIMELINE) == "1"


def test_archiving_by_the_command_line_is_refused_while_the_server_is_in_service(
    damaged: Scene,
) -> None:
    """After its start it would be found in the outage; what runs has the same command line."""
    node, before = damaged.node, shop.fingerprint(damaged.node)
    options = "-o", "-c archive_mode=on -c archive_command=true"
    node.tool("pg_ctl", "-D", node.data_directory, "-w", *options, "-l", "/dev/null", "restart")
    refused = damaged.restore(timeline="keep")
    assert refused.ended == "CheckFailed"
    assert "archive_command = 'true'" in refused.said
    assert "out of the server's command line" in refused.said
    assert refused.changed == 0
    assert shop.fingerprint(node) == before
    node.stop()
    outcome = damaged.restore(timeline="keep")
    assert outcome.completed, outcome.said
    assert_restored(damaged)


def test_the_plan_that_is_approved_removes_nothing_that_its_own_swap_moves(
    damaged: Scene,
) -> None:
    assert damaged.restore(at=READY).ended == "killed"
    planned = damaged.restore(dry_run=True).plan
    assert planned is not None
    lines = [action.line for line in planned.lines for action in line.actions]
    assert not [line for line in lines if line.startswith("rm -rf")]
    assert [line for line in lines if line.startswith("mv ") and "incoming-" in line]
    other = damaged.live.with_name(f"{damaged.live.name}.incoming-20010101T000000Z-0a0b")
    other.mkdir()
    planned = damaged.restore(dry_run=True).plan
    assert planned is not None
    lines = [action.line for line in planned.lines for action in line.actions]
    assert [line for line in lines if line.startswith("rm -rf")] == [f"rm -rf {other}"]


def test_what_has_lost_a_tablespace_is_made_ready_anew(damaged: Scene) -> None:
    assert damaged.restore(at=READY).ended == "killed"
    (part,) = damaged.node.tablespaces["cold"].glob("pgsql_tmp_incoming-*")
    shutil.rmtree(part)
    outcome = damaged.restore()
    assert outcome.completed, outcome.said
    assert_restored(damaged)


def test_half_in_place_it_is_only_finished_in_the_same_way(damaged: Scene) -> None:
    before = shop.fingerprint(damaged.node)
    assert damaged.restore(at=HALF_IN_PLACE).ended == "killed"
    refused = damaged.restore(timeline="keep")
    assert refused.ended == "CheckFailed"
    assert "in another way" in refused.said
    assert "timeline fork" in refused.said
    assert damaged.restore(answer="refuse").ended == "RefusedByPerson"
    outcome = damaged.restore()
    assert outcome.completed, outcome.said
    assert_restored(damaged)
    assert damaged.run("instance-restore-undo").completed
    assert shop.fingerprint(damaged.node) == before
