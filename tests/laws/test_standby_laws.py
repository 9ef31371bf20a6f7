"""The laws of DESIGN section 4 for standby-setup, on plain hosts."""

from __future__ import annotations

import signal
import stat
from collections.abc import Iterator

import pytest

from tests.lab import shop
from tests.lab.loopback import LoopbackLab
from tests.laws import standby_scene
from tests.laws.outcome import Point
from tests.laws.standby_scene import ROLE, Scene, assert_follows

pytestmark = pytest.mark.lab

STEPS = [Point(str(number)) for number in range(3, 13)]
INSIDE = [
    Point("3", 2),
    Point("5", 2),
    *(Point("7", action) for action in (2, 3, 4)),
    *(Point("9", action) for action in (1, 2)),
]


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return standby_scene.build(loopback_lab, "sba", "sbb", tmp_path_factory.mktemp("standby"))


@pytest.fixture
def pair(scene: Scene) -> Iterator[Scene]:
    """Both servers as they were installed."""
    scene.reset()
    yield scene
    scene.halt()


def test_a_dry_run_changes_nothing_and_prints_every_step(pair: Scene) -> None:
    with pair.unchanged():
        outcome = pair.run(dry_run=True)
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    assert [number for number, _ in outcome.plan.headings] == [str(n) for n in range(1, 14)]
    shown = outcome.plan.markdown()
    role = f"CREATE ROLE \"{ROLE}\" LOGIN REPLICATION CONNECTION LIMIT 5 PASSWORD '***'"
    assert role in shown
    assert f"pg_basebackup -R -D {pair.repl} -F plain -X stream" in shown
    assert f"-h {pair.primary.host.address} -p" in shown
    assert f"mv {pair.live} {pair.live}.aside-" in shown
    assert "/32            scram-sha-256" in shown
    assert "own (1 tables, about" in shown
    assert "max_slot_wal_keep_size" in shown
    assert "RESTART" not in shown


def test_it_makes_a_standby_and_a_second_run_changes_nothing(pair: Scene) -> None:
    pid = pair.primary.pid
    first = pair.run()
    assert first.completed, first.said
    assert_follows(pair)
    assert pair.primary.pid == pid
    assert not [line for line in first.commands if "restart" in line]
    assert (pair.aside()[0] / "global/pg_control").exists()
    with pair.unchanged():
        second = pair.run()
    assert (second.ended, second.changed, second.said) == ("completed", 0, "")


def test_the_password_is_in_one_file_and_nowhere_else(pair: Scene) -> None:
    outcome = pair.run()
    assert outcome.completed, outcome.said
    path = pair.live / "pgsql_tmp_replication.pass"
    line = path.read_text().strip()
    password = line.rpartition(":")[2]
    assert len(password) > 30
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.owner() == "postgres"
    assert password not in (pair.live / "postgresql.auto.conf").read_text()
    told = [outcome.trail.read_text(), outcome.plan.model_dump_json() if outcome.plan else ""]
    told += [(node.host.directory / "journal").read_text() for node in (pair.primary, pair.standby)]
    told += [node.log.read_text() for node in (pair.primary, pair.standby)]
    assert all(password not in text and "SCRAM-SHA-256$" not in text for text in told)
    limits = "SELECT rolcanlogin, rolreplication, rolsuper, rolconnlimit FROM pg_roles"
    assert pair.primary.psql(f"{limits} WHERE rolname = '{ROLE}'") == "t|t|f|5"
    rules = (pair.primary.data_directory / "pg_hba.conf").read_text()
    added = [row for row in rules.splitlines() if ROLE in row]
    assert len(added) == 1
    assert added[0].split() == ["host", "replication", ROLE, "127.0.0.1/32", "scram-sha-256"]


@pytest.mark.parametrize("points", [STEPS, INSIDE], ids=["after every step", "between actions"])
def test_killed_again_and_again_it_goes_on_where_it_was(pair: Scene, points: list[Point]) -> None:
    for point in points:
        killed = pair.run(at=point)
        assert killed.ended == "killed", f"{point}: {killed.said}"
        if int(point.step) > 9:
            began = killed.commands
            assert not [line for line in began if "pg_basebackup" in line or "mv " in line]
    outcome = pair.run()
    assert outcome.completed, outcome.said
    assert_follows(pair)
    assert pair.run().changed == 0


@pytest.mark.parametrize(
    "point",
    [
        Point("7", transfer=True, signal=signal.SIGTERM),
        Point("7", 4, signal=signal.SIGINT),
        Point("9", 1, signal=signal.SIGTERM),
    ],
    ids=str,
)
def test_cancelled_it_leaves_no_process_and_no_half_directory(pair: Scene, point: Point) -> None:
    pair.cluster = {"backups": {"store": "store", "max_rate": "8M"}}
    outcome = pair.run(at=point)
    assert outcome.ended in ("KeyboardInterrupt", "_Terminated"), outcome.said
    assert pair.stray() == []
    if point.step == "7":
        assert not pair.repl.exists()
        assert pair.standby.psql("SELECT count(*) FROM held_alone", database="own") == "7"
    pair.cluster = {}
    again = pair.run()
    assert again.completed, again.said
    assert_follows(pair)


def test_a_refusal_leaves_everything_as_it_was(pair: Scene) -> None:
    before = shop.fingerprint(pair.primary)
    with pair.unchanged():
        outcome = pair.run(answer="refuse")
        assert outcome.ended == "RefusedByPerson"
    assert shop.fingerprint(pair.primary) == before
