"""cluster-restore with an option, killed where that option is dangerous, and started again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import judge, shop, system_identifier, trouble
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.laws import cluster_restore_scene
from tests.laws.cluster_restore_scene import (
    assert_in_service,
    assert_restored,
    leftovers,
    restore,
)
from tests.laws.outcome import Outcome, Point
from tests.laws.replication_scene import Scene

pytestmark = pytest.mark.lab

HALF_SWAPPED = Point("7", 3)
"""The old data directory is aside, the tablespace is the restored one."""

HALF_REMOVED = Point("7", 3)
"""The tablespace is removed, the data directory is not."""

_TOO_LITTLE = 40 << 20  # bytes: for the data once more, not for the WAL that a server keeps


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    base = tmp_path_factory.mktemp("options")
    return cluster_restore_scene.build(loopback_lab, "cro", "crp", base=base, tablespaces=["cold"])


@pytest.fixture
def damaged(scene: Scene) -> Iterator[Scene]:
    """A primary and its standby as they were after the damage."""
    scene.reset()
    yield scene
    scene.halt()


def kill(scene: Scene, point: Point, **options: object) -> None:
    """Kill a run at a point, which it must reach."""
    killed = restore(scene, at=point, **options)
    assert killed.ended == "killed", f"{point}: {killed.said}"


def finish(scene: Scene, **options: object) -> Outcome:
    """Start it again; it must come to its end."""
    outcome = restore(scene, **options)
    assert outcome.completed, outcome.said
    return outcome


def refused(scene: Scene, *words: str, **options: object) -> None:
    """Start it again in a way that must be refused, with a hint, before anything is changed."""
    before = scene.servers()
    outcome = restore(scene, **options)
    assert not outcome.completed
    for each in (*words, "HINT:"):
        assert each in outcome.said, outcome.said
    assert outcome.commands == []
    assert scene.servers() == before


def asides(scene: Scene) -> list[int]:
    """Count on every node what was set aside."""
    return [len(scene.aside(node)) for node in scene.nodes]


def damage(node: PostgresNode) -> None:
    """Change what lies in the data directory, and what lies in the tablespace."""
    node.psql(
        "DELETE FROM customers WHERE id NOT IN (SELECT customer FROM orders)", database="shop"
    )
    node.psql("DELETE FROM orders WHERE id % 5 = 0; CHECKPOINT", database="shop")


def test_again_killed_is_never_taken_for_the_restore_before(damaged: Scene) -> None:
    """Made ready, it is taken away; half swapped, or in use, it is only finished as it must be.

    Stopped, the data directory still bears the mark of the first restore; half swapped, nothing
    does. Once the restored server is in use, nobody can tell the end of that restore from the wish
    for one more.
    """
    first = damaged.nodes[0]
    finish(damaged)
    damage(first)
    written = shop.fingerprint(first)
    kill(damaged, Point("3"), again=True)
    assert leftovers(first) != []
    finish(damaged)
    assert (leftovers(first), shop.fingerprint(first)) == ([], written)
    kill(damaged, Point("6"), again=True)
    refused(damaged, "again=true")
    kill(damaged, Point("7", 4), again=True)
    kill(damaged, Point("8"))
    refused(damaged, "without again=true", again=True)
    finish(damaged)
    assert_restored(damaged, *damaged.nodes, timeline=3)
    assert asides(damaged) == [2, 2]
    assert restore(damaged).changed == 0


def test_half_swapped_it_is_not_taken_up_with_another_backup(damaged: Scene) -> None:
    """The old data would lie under two stamps, and come back as a mixture."""
    kept = (damaged.backup, damaged.fingerprints)
    other = damaged.back_up()
    damaged.backup, damaged.fingerprints = kept
    kill(damaged, HALF_SWAPPED)
    damaged.backup = other
    refused(damaged, f"backup={kept[0]}")
    damaged.backup = kept[0]
    finish(damaged)
    assert_restored(damaged, *damaged.nodes)
    assert asides(damaged) == [1, 1]


def test_with_remove_old_killed_in_the_removal_the_backup_still_comes(damaged: Scene) -> None:
    """Between tablespace and data directory, and while the only data there streams in.

    With `again`, the directory of a removed tablespace bears the mark of the restore before.
    """
    primary, standby = damaged.nodes
    primary.stop()
    with trouble.small_disk(primary, free=160 << 20) as ballast:
        trouble.fill(ballast, _TOO_LITTLE)
        primary.start()
        kill(damaged, HALF_REMOVED, remove_old=True)
        refused(damaged, "remove_old=true")
        kill(damaged, Point("7", transfer=True), remove_old=True)
        assert not (primary.data_directory / "PG_VERSION").exists()
        assert (standby.data_directory / "PG_VERSION").exists()
        ballast.unlink()
        finish(damaged)
        assert_restored(damaged, primary, standby)
        assert asides(damaged) == [0, 1]
        trouble.fill(ballast, _TOO_LITTLE)
        refused(damaged, "remove_old=true", again=True)
        kill(damaged, HALF_REMOVED, again=True, remove_old=True)
        refused(damaged, "again=true")
        kill(damaged, Point("8"), again=True, remove_old=True)
        ballast.unlink()
        finish(damaged)
        assert judge.writable(damaged.nodes) == (primary.name,)
        assert asides(damaged) == [0, 2]
        primary.stop("immediate")


def test_with_timeline_keep_it_is_only_finished_in_the_same_way(damaged: Scene) -> None:
    """Half swapped, and when the server already writes on: a fork now would be a second history."""
    kill(damaged, HALF_SWAPPED, timeline="keep")
    refused(damaged, "timeline keep")
    kill(damaged, Point("8"), timeline="keep")
    refused(damaged, "timeline keep")
    finish(damaged, timeline="keep")
    assert_restored(damaged, *damaged.nodes, timeline=1)
    assert asides(damaged) == [1, 1]


def test_over_another_system_it_goes_on_with_the_option_only(damaged: Scene) -> None:
    """Half swapped, and when only the standby is still of the other system."""
    system_identifier.change(damaged.cluster)
    kill(damaged, HALF_SWAPPED, other_system=True)
    refused(damaged, "other_system=true")
    kill(damaged, Point("10"), other_system=True)
    refused(damaged, "other_system=true")
    finish(damaged, other_system=True)
    assert_restored(damaged, *damaged.nodes)
    assert asides(damaged) == [1, 1]
    assert restore(damaged).changed == 0


def test_a_node_left_out_is_taken_in_again_or_let_go_at_any_time(damaged: Scene) -> None:
    """Killed when it is stopped and when it is inactive: it comes back; cloned, it goes."""
    primary, standby = damaged.nodes
    kill(damaged, Point("6"), without=standby.name)
    assert judge.servers(standby) == []
    kill(damaged, Point("10"), without=standby.name)
    kill(damaged, Point("11"))
    assert set(judge.streaming(primary, damaged.nodes)) == {standby.name}
    outcome = finish(damaged, without=standby.name)
    assert f"{standby.name} was left out" in outcome.told
    assert_restored(damaged, primary)
    assert judge.servers(standby) == []
    row = "SELECT type, active FROM repmgr.nodes WHERE node_id = 2"
    assert primary.psql(row, database="repmgr") == "standby|f"
    done = restore(damaged, without=standby.name)
    assert done.changed == 0
    assert done.plan is not None
    assert done.plan.headline.startswith("NOTHING IS RESTORED")
    back = restore(damaged)
    assert back.completed, back.said
    assert back.plan is not None
    assert back.plan.headline.startswith(f"RESTORED ALREADY: {primary.name}, since ")
    assert not [name for name in back.memory if name.startswith("recovery")], "of another run"
    assert_restored(damaged, *damaged.nodes)
    primary.stop()
    planned = restore(damaged, again=True, primary=primary.name, dry_run=True)
    assert planned.completed, planned.said


def test_an_application_that_was_skipped_is_stopped_and_started_without_it(damaged: Scene) -> None:
    """Killed when all servers stand still, and the client is alive."""
    (app,) = damaged.apps
    pid = app.pid
    kill(damaged, Point("6"), skip=app.name)
    assert app.pid == pid
    finish(damaged)
    assert_restored(damaged, *damaged.nodes)
    assert_in_service(damaged, damaged.nodes[0])
