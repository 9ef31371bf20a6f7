"""The laws of DESIGN section 4 for instance-restore."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from deployments.cli.audit_text import lines_of
from runbook.audit import read_trail
from runbook.audit.history import past_runs
from runbook.audit.report.run_page import run_page
from runbook.audit.report.run_view import view
from runbook.restore.marks import RESTORED
from tests.lab import shop
from tests.laws.outcome import ASKED, Point
from tests.laws.restore_scene import Scene, assert_restored

pytestmark = pytest.mark.lab

STEPS = [Point(str(number)) for number in range(1, 9)]
INSIDE = [
    Point("2", transfer=True),
    *(Point("2", action) for action in (2, 3, 4)),
    *(Point("6", action) for action in (1, 2, 3)),
    *(Point("7", action) for action in (1, 2, 3)),
    Point("9", 1),
]
CANCELLED = [
    Point("2", transfer=True, signal=signal.SIGINT),
    Point("2", 3, signal=signal.SIGTERM),
    Point("2", 4, signal=signal.SIGINT),
    Point("4", signal=signal.SIGTERM),
    Point("5", signal=signal.SIGINT),
    Point("6", 2, signal=signal.SIGTERM),
    Point("7", signal=signal.SIGINT),
]


def test_a_dry_run_changes_nothing_and_prints_every_step(damaged: Scene) -> None:
    with damaged.unchanged():
        outcome = damaged.restore(dry_run=True)
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    assert [number for number, _ in outcome.plan.headings] == [str(n) for n in range(1, 10)]
    shown = outcome.plan.markdown()
    assert f"mv {damaged.live} {damaged.live}.aside-" in shown
    assert "pg_verifybackup" in shown


def test_a_restore_reaches_its_goal_and_a_second_one_changes_nothing(damaged: Scene) -> None:
    assert int(damaged.node.psql("SELECT timeline_id FROM pg_control_checkpoint()")) == 1
    first = damaged.restore()
    assert first.completed, first.said
    assert_restored(damaged)
    damaged.node.tool("pg_amcheck", "--all", "--install-missing", "--heapallindexed")
    assert damaged.node.psql("CHECKPOINT; SELECT timeline_id FROM pg_control_checkpoint()") == "2"
    where = "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'cold'"
    assert damaged.node.psql(where) == str(damaged.node.tablespaces["cold"])
    assert float(str(first.memory["recovery time seconds"])) > 0
    assert first.plan is not None
    told = [line.text.partition(" (RTO)")[0] for line in first.plan.lines]
    ended = told.index("the restore has come to its end")
    assert told.index("recovery time") < ended, "killed in between, the next run tells it"
    with damaged.unchanged():
        second = damaged.restore()
    assert (second.ended, second.changed, second.said) == ("completed", 0, "")


def test_a_second_damage_is_not_answered_with_done(damaged: Scene) -> None:
    assert damaged.restore().completed
    lost = damaged.damage()
    outcome = damaged.restore()
    assert (outcome.ended, outcome.changed) == ("completed", 0), outcome.said
    assert shop.fingerprint(damaged.node) == lost
    assert outcome.plan is not None
    first = outcome.plan.facts[0]
    assert first.name == "NOTHING IS RESTORED"
    assert first.value.startswith(f"{damaged.live} has been {damaged.backup} since ")
    assert first.value.endswith("To go back once more: again (--again at the command line)")
    ended = {line.text: line.outcome for line in outcome.plan.lines}
    for untrue in ("no server runs", "stands verified beside", "the moment of the first stop"):
        (found,) = (each for text, each in ended.items() if untrue in text)
        assert found == "not needed", untrue
    planned = damaged.restore(dry_run=True).plan
    assert planned is not None
    assert "☐" not in planned.markdown()
    assert outcome.record[-1]["measured"] == {}
    (again,) = (run for run in past_runs(outcome.trail.parent) if run.outcome == "nothing to do")
    assert again.recovery_time is None
    assert outcome.plan.headline in "\n".join(lines_of(view(again.run, read_trail(outcome.trail))))
    assert outcome.plan.headline in run_page(outcome.trail, ())


def test_a_base_backup_after_a_restore_holds_nothing_of_it(damaged: Scene, tmp_path: Path) -> None:
    assert damaged.restore().completed
    tmp_path.parent.chmod(0o755)
    target = damaged.node.directory / "taken"
    damaged.node.tool("pg_basebackup", "-D", target, "-F", "tar", "-c", "fast")
    names = (target / "backup_manifest").read_text()
    assert "pgsql_tmp" not in names


def test_again_restores_once_more_on_a_timeline_of_its_own(damaged: Scene) -> None:
    assert damaged.restore().completed
    damaged.damage()
    killed = damaged.restore(again=True, at=Point("6"))
    assert killed.ended == "killed"
    outcome = damaged.restore(again=True)
    assert outcome.completed, outcome.said
    assert_restored(damaged, asides=2)
    assert damaged.node.psql("CHECKPOINT; SELECT timeline_id FROM pg_control_checkpoint()") == "3"
    assert damaged.restore().changed == 0


def test_again_is_never_taken_for_the_end_of_a_restore_that_is_in_use(damaged: Scene) -> None:
    assert damaged.restore(at=Point("8")).ended == "killed"
    damaged.damage()
    refused = damaged.restore(again=True)
    assert refused.ended == "CheckFailed"
    assert "without again=true" in refused.said
    assert damaged.restore().completed
    outcome = damaged.restore(again=True)
    assert outcome.completed, outcome.said
    assert_restored(damaged, asides=2)


@pytest.mark.parametrize("point", [*STEPS, *INSIDE], ids=str)
def test_killed_and_started_again_it_finishes(damaged: Scene, point: Point) -> None:
    killed = damaged.restore(at=point)
    assert killed.ended == "killed"
    outcome = damaged.restore()
    assert outcome.completed, outcome.said
    assert_restored(damaged)
    assert float(str(outcome.memory["recovery time seconds"])) > 0
    if point.step > "5" and point != Point("6", 1):
        assert not [line for line in outcome.commands if "pg_ctl stop" in line]
    if point.step > "6":
        assert not [line for line in outcome.commands if line.startswith("mv ") and "aside" in line]
    assert damaged.restore().changed == 0


def test_killed_before_its_end_it_tells_the_recovery_time_that_was_measured(
    damaged: Scene,
) -> None:
    """Not the time until somebody has started it again, next morning."""
    assert damaged.restore(at=Point("9", 2)).ended == "killed"
    measured = json.loads((damaged.live / RESTORED).read_text())["outage"]
    outcome = damaged.restore()
    assert outcome.completed, outcome.said
    assert outcome.memory["recovery time seconds"] == measured
    assert (outcome.changed, damaged.restore().changed) == (1, 0)


@pytest.mark.parametrize("point", CANCELLED, ids=str)
def test_cancelled_it_leaves_no_process_and_no_half_directory(damaged: Scene, point: Point) -> None:
    outcome = damaged.restore(at=point)
    assert outcome.ended in ("KeyboardInterrupt", "_Terminated")
    assert damaged.stray() == []
    if point.step == "2":
        assert damaged.leftovers() == []
        assert damaged.node.is_running()
    again = damaged.restore()
    assert again.completed, again.said
    assert_restored(damaged)


def test_a_refusal_leaves_everything_as_it_was(damaged: Scene) -> None:
    before = shop.fingerprint(damaged.node)
    pid = damaged.node.pid
    beside = sorted(path.name for path in damaged.node.directory.iterdir())
    outcome = damaged.restore(answer="refuse")
    assert outcome.ended == "RefusedByPerson"
    assert damaged.node.pid == pid
    assert shop.fingerprint(damaged.node) == before
    assert damaged.leftovers() == []
    assert sorted(path.name for path in damaged.node.directory.iterdir()) == beside


def test_a_refusal_leaves_what_another_run_has_half_put_in_place(damaged: Scene) -> None:
    wanted = {"cluster": damaged.name, "backup": damaged.backup}
    thinking = damaged.runner.start("instance-restore", at=ASKED, answer="refuse", **wanted)
    thinking.halted()
    assert damaged.restore(at=Point("6", 2)).ended == "killed"
    half = damaged.leftovers()
    assert half
    thinking.send(signal.SIGCONT)
    outcome = thinking.outcome()
    assert outcome.ended == "RefusedByPerson", outcome.said
    assert damaged.leftovers() == half
    assert "has begun the outage with it" in str(outcome.record[-2])
    again = damaged.restore()
    assert again.completed, again.said
    assert_restored(damaged)


def test_no_prune_removes_the_backup_of_a_restore_that_is_half_in_place(damaged: Scene) -> None:
    before = set(damaged.store.iterdir())
    assert damaged.run("base-backup").completed
    try:
        assert damaged.restore(at=Point("6", 2)).ended == "killed"
        pruned = damaged.run("prune", keep=1)
        assert pruned.completed, pruned.said
        assert f"{damaged.backup} stays" in pruned.told
        outcome = damaged.restore()
        assert outcome.completed, outcome.said
        assert_restored(damaged)
        freed = damaged.run("prune", keep=1, dry_run=True)
        assert freed.plan is not None
        assert f"remove {damaged.backup}/" in freed.plan.markdown()
    finally:
        for newer in set(damaged.store.iterdir()) - before:
            shutil.rmtree(newer)


def test_a_server_that_answers_and_is_too_damaged_to_say_who_it_is_is_restored(
    damaged: Scene,
) -> None:
    lost = damaged.live / "global/pg_control"
    lost.rename(lost.with_name("lost"))
    outcome = damaged.restore()
    assert outcome.completed, outcome.said
    (aside,) = damaged.aside()
    (aside / "global/lost").rename(aside / "global/pg_control")
    assert_restored(damaged)


def test_a_worker_on_the_node_itself_restores_without_ssh(damaged: Scene) -> None:
    damaged.local = True
    try:
        killed = damaged.restore(at=Point("6", 2))
        assert killed.ended == "killed"
        outcome = damaged.restore()
    finally:
        damaged.local = False
    assert outcome.completed, outcome.said
    assert_restored(damaged)
