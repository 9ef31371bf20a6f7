"""A component-restore that is killed, cancelled or fails: the next run goes on where it ended."""

from __future__ import annotations

import signal

import pytest

from tests.lab import processes
from tests.laws.component_restore_scene import Restores, loads
from tests.laws.component_scene import DATABASES
from tests.laws.outcome import Point

pytestmark = pytest.mark.lab

BEFORE = [*(Point(step) for step in ("2", "3", "4")), *(Point("5", action=n) for n in (2, 4, 5))]
AFTER = [
    *(Point(step) for step in ("5", "6", "7")),
    *(Point("8", action=number) for number in (1, 2, 3)),
    *(Point(step) for step in ("8", "9", "10")),
]


def test_killed_after_every_step_and_started_again_it_finishes_and_loads_nothing_twice(
    there: Restores,
) -> None:
    changed = there.rows()
    for point in BEFORE:
        outcome = there.run(at=point)
        assert outcome.ended == "killed", (point, outcome.said)
        there.scene.settled()
        assert there.rows() == changed
        assert len(there.names()) <= 1
    for point in AFTER:
        outcome = there.run(at=point)
        assert outcome.ended == "killed", (point, outcome.said)
        there.scene.settled()
        assert len(loads(outcome)) == (point == Point("5")), point
    last = there.restored()
    assert loads(last) == []
    assert there.text("component") == there.dumped["component"]
    assert there.names() == ["component_aside_MOMENT"]
    assert there.app_runs()
    assert there.restored().changed == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_a_run_that_ends_while_pg_restore_works_leaves_no_process(
    there: Restores, number: signal.Signals
) -> None:
    there.scene.local = False
    changed = there.rows("zabbix")
    with there.gate_closed():
        running = there.scene.runner.start(
            "component-restore", cluster=there.scene.name, database="zabbix"
        )
        there.until_loading()
        running.send(number)
        ended = running.outcome(60).ended
        assert ended == ("killed" if number is signal.SIGKILL else "_Terminated")
        there.scene.settled()
    assert there.names() == ([] if number is signal.SIGTERM else ["zabbix_incoming_MOMENT"])
    assert there.rows("zabbix") == changed
    there.restored(database="zabbix")
    assert there.text("zabbix") == there.dumped["zabbix"]


@pytest.mark.parametrize(
    "point", [Point("5", action=2), Point("5", action=4), Point("8", action=3)], ids=str
)
def test_cancelled_it_leaves_no_half_database_and_the_old_one_open(
    there: Restores, point: Point
) -> None:
    changed = there.rows()
    halt = Point(point.step, point.action, signal=signal.SIGTERM)
    assert there.run(at=halt).ended == "_Terminated"
    there.scene.settled()
    assert there.names() == ([] if point.step == "5" else ["component_incoming_MOMENT"])
    assert there.is_open()
    assert there.rows() == changed


def test_a_dump_that_a_restore_has_chosen_is_not_pruned_before_its_end(there: Restores) -> None:
    there.scene.components = {"keep": 1}
    system = there.scene.record("component", there.stamp)["system_identifier"]
    assert there.run(at=Point("5")).ended == "killed"
    backup = there.scene.run()
    assert backup.completed, backup.said
    newest = max(there.scene.ids())
    assert f"component-{there.stamp} in cr:{there.scene.folder()} stays" in backup.told
    assert there.scene.ids("component") == [there.stamp, newest]
    assert there.scene.ids("zabbix") == [newest]
    there.archive().rename(there.scene.base / "away")
    lost = there.run()
    assert lost.ended == "CheckFailed"
    assert "no copy of component that is dropped is the last of its dump" in lost.said
    (there.scene.base / "away").rename(there.archive())
    assert loads(there.restored(backup=there.stamp)) == []
    assert there.scene.unfinished() == []
    there.rewrite(system_identifier="42")
    assert "of another database system, and left alone" in there.scene.run().told
    assert there.stamp in there.scene.ids("component")
    there.rewrite(system_identifier=system)
    assert there.scene.run().completed
    assert there.stamp not in there.scene.ids("component")


def test_what_a_killed_run_has_closed_the_next_one_that_fails_opens(there: Restores) -> None:
    changed = there.rows()
    for way, ended in (
        ({"backup": "20200101000000"}, "CheckFailed"),
        ({"answer": "refuse"}, "RefusedByPerson"),
    ):
        assert there.run(at=Point("8", action=2)).ended == "killed"
        there.run(backup="20200101000000", dry_run=True)
        assert not there.is_open()
        assert there.run(**way).ended == ended
        assert there.is_open()
        assert there.rows() == changed
    there.first.psql("ALTER DATABASE component ALLOW_CONNECTIONS false")
    assert there.run(backup="20200101000000").ended == "CheckFailed"
    assert not there.is_open()
    there.first.psql("ALTER DATABASE component ALLOW_CONNECTIONS true")
    assert loads(there.restored()) == []
    assert there.scene.unfinished() == []


def test_what_a_killed_restore_has_closed_is_open_when_another_one_starts_the_applications(
    there: Restores,
) -> None:
    changed = there.rows()
    assert there.run(at=Point("8", action=2)).ended == "killed"
    assert not there.is_open()
    other = there.restored(database="auditlog")
    assert "component stays as it was before the restore of it that was killed" in other.told
    assert there.is_open()
    assert there.rows() == changed
    assert there.restored(database="auditlog").changed == 0
    assert loads(there.restored()) == []
    assert there.text("component") == there.dumped["component"]


def test_when_one_cannot_be_renamed_none_is_and_all_let_applications_in(there: Restores) -> None:
    there.scene.components = {"databases": ["component", "zabbix"]}
    before = {name: there.rows(name) for name in DATABASES}
    assert there.run(database="all", at=Point("6")).ended == "killed"
    taken = there.made()[-1].replace("incoming", "aside")
    there.first.psql(f"CREATE DATABASE {taken}")
    outcome = there.run(database="all")
    assert outcome.ended == "CommandFailed"
    assert f'database "{taken}" already exists' in outcome.said
    assert {name: there.rows(name) for name in DATABASES} == before
    assert all(there.is_open(name) for name in DATABASES)
    there.first.psql(f"DROP DATABASE {taken}")
    assert loads(there.restored(database="all")) == []
    for name in ("component", "zabbix"):
        assert there.text(name) == there.dumped[name]
    processes.until(there.app_runs, "the application runs")
