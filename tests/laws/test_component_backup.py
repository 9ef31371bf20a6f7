"""The laws of component-backup: whole verified dumps of every database, and nothing else."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import component_scene
from tests.laws.component_scene import DATABASES, Scene
from tests.laws.outcome import Point

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Scene:
    """Build the server once."""
    return component_scene.build(loopback_lab, "ca")


@pytest.fixture
def scene(built: Scene) -> Iterator[Scene]:
    """Give the server with default settings and no dumps but somebody's own."""
    built.empty()
    own = built.folder() / "component" / "component-20200101000000.dump"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"somebody's own")
    component_scene.give_to_postgres(built.base / "backups")
    yield built
    assert own.read_bytes() == b"somebody's own"


OWN = "component-20200101000000.dump"


def unfinished(scene: Scene) -> list[str]:
    """Name what is left of unfinished dumps."""
    return [name for name in scene.unfinished() if not name.endswith(OWN)]


def test_a_dry_run_changes_nothing_and_shows_everything(
    scene: Scene, loopback_lab: LoopbackLab
) -> None:
    before = scene.files()
    with loopback_lab.unchanged(scene.first, scripts=component_scene.READING) as seen:
        outcome = scene.run(dry_run=True)
    assert outcome.completed, outcome.said
    assert scene.files() == before
    programs = {component_scene.in_root(each.command) for each in seen.commands["ca"]}
    assert programs <= {"", "sh", "find", "tail"}
    assert outcome.plan is not None
    page = outcome.plan.markdown()
    for database in DATABASES:
        assert f"-d {database}" in page
        assert f"{database}-$(date +%Y%m%d%H%M%S).dump" in page
    assert "pg_restore -f /dev/null" in page
    assert outcome.plan.changes == 2 * len(DATABASES)


@pytest.mark.parametrize("local", [False, True], ids=["ssh", "local"])
def test_every_dump_restores_with_the_tools_of_postgresql(scene: Scene, *, local: bool) -> None:
    scene.local = local
    made = scene.back_up()
    for database in DATABASES:
        record = scene.record(database, made)
        archive = scene.archive(database, made)
        assert record["size"] == archive.stat().st_size
        assert archive.stat().st_mode & 0o077 == 0
        assert (record["role"], record["node"], record["server_major"]) == ("primary", "ca", 15)
        component_scene.restored_by_hand(scene.first, archive, "by_hand")
        try:
            assert scene.fingerprint(database, held_in="by_hand") == scene.fingerprint(database)
        finally:
            scene.first.psql("DROP DATABASE by_hand")
    assert unfinished(scene) == []
    scene.settled()


def test_a_health_check_tells_dumps_that_have_stopped(scene: Scene) -> None:
    line = f"CRITICAL: {scene.name}: component dumps: "
    assert f"{line}there is no sound one" in scene.run("health-check").said
    made = scene.back_up()
    assert line not in scene.run("health-check").said
    path = scene.archive("zabbix", made).with_suffix(".json")
    record = json.loads(path.read_text())
    old = datetime.now(UTC) - timedelta(hours=80)
    path.write_text(json.dumps({**record, "finished": old.isoformat()}))
    assert f"{line}the newest sound one is 3 d" in scene.run("health-check").said


def test_archives_are_compressed_as_the_settings_say(scene: Scene) -> None:
    sizes = []
    for level in (1, 9):
        scene.components = {"databases": ["auditlog"], "compression": level}
        archive = scene.archive("auditlog", scene.back_up())
        scene.first.tool("pg_restore", "-f", "/dev/null", archive)
        sizes.append(archive.stat().st_size)
    assert sizes[0] > sizes[1]


def test_the_largest_database_waits_for_no_other(scene: Scene) -> None:
    scene.components = {"databases": [*reversed(DATABASES)], "at_once": 1}
    made = scene.back_up()
    began = {name: scene.record(name, made)["began"] for name in DATABASES}
    assert min(began, key=lambda name: began[name]) == "auditlog"


def test_the_same_run_again_dumps_nothing_twice(scene: Scene) -> None:
    made = scene.back_up()
    before = scene.files()
    again = scene.run(run_id=scene.record("zabbix", made)["run_id"])
    assert again.completed
    assert again.changed == 0
    assert scene.files() == before


POINTS = [
    *(Point(step) for step in ("1", "2", "3", "4", "5", "6", "7")),
    *(Point("4", action=number) for number in (1, 4, 6)),
]


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_killed_run_leaves_nothing_that_looks_whole_and_the_next_one_clears_up(
    scene: Scene, point: Point
) -> None:
    assert scene.run(at=point).ended == "killed"
    scene.settled()
    left = unfinished(scene)
    assert not [name for name in left if name.endswith(".json")]
    for name in left:
        if name.endswith(".dump"):  # without its record; what bears this name was read back whole
            scene.first.tool("pg_restore", "-f", "/dev/null", scene.base / name)
    again = scene.run()
    assert again.completed, again.said
    if left:
        assert "of an interrupted run is gone" in again.told or "are gone" in again.told
    assert unfinished(scene) == []
    assert all(max(scene.ids(database)) == max(scene.ids()) for database in DATABASES)


def test_a_killed_run_that_is_started_again_keeps_what_it_has_dumped(scene: Scene) -> None:
    run_id = "1234567890abcdef1234567890abcdef"
    scene.components = {"at_once": 1}
    assert scene.run(at=Point("4", action=3), run_id=run_id).ended == "killed"
    scene.settled()
    kept = scene.archive("auditlog", scene.ids()[0]).stat()
    again = scene.run(run_id=run_id)
    assert again.completed, again.said
    assert scene.archive("auditlog", scene.ids()[0]).stat().st_mtime_ns == kept.st_mtime_ns
    assert {tuple(scene.ids(database)) for database in DATABASES} == {tuple(scene.ids())}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize("at_once", [1, 2])
def test_a_run_that_ends_while_pg_dump_works_leaves_no_process(
    scene: Scene, number: signal.Signals, at_once: int
) -> None:
    scene.components = {"at_once": at_once}
    with scene.locked("events", "auditlog"):
        running = scene.runner.start("component-backup", cluster=scene.name)
        scene.until_dumping()
        running.send(number)
        ended = running.outcome(30).ended
        assert ended == ("killed" if number is signal.SIGKILL else "_Terminated")
        scene.settled()
    assert scene.ids() == []
    if number is signal.SIGTERM:
        assert unfinished(scene) == []
    assert scene.run().completed
    assert unfinished(scene) == []


def test_a_cancelled_run_cleans_up_between_dump_and_record(scene: Scene) -> None:
    scene.components = {"databases": ["zabbix"]}
    cancelled = scene.run(at=Point("4", action=2, signal=signal.SIGTERM))
    assert cancelled.ended == "_Terminated"
    scene.settled()
    assert unfinished(scene) == []
    assert scene.ids("zabbix") == []


def test_a_table_that_stays_locked_ends_its_dump_and_no_other(scene: Scene) -> None:
    scene.components = {"lock_wait_seconds": 1}
    with scene.locked("events", "auditlog"):
        outcome = scene.run()
    assert outcome.ended == "CommandFailed"
    assert "lock" in outcome.said
    assert scene.ids("auditlog") == []
    assert len(scene.ids("component")) == len(scene.ids("zabbix")) == 1
    assert unfinished(scene) == []


def test_the_newest_dumps_of_nights_and_of_deploys_remain(scene: Scene) -> None:
    scene.components = {"keep": 2}
    deploy = scene.back_up(occasion="deploy")
    nights = [scene.back_up() for _ in range(3)]
    assert scene.ids() == [deploy, *nights[1:]]
    assert scene.ids("zabbix") == [deploy, *nights[1:]]
    told = scene.run(dry_run=True).told
    assert f"auditlog-{nights[1]} is gone" in told
    assert f"auditlog-{nights[2]}" not in told


def test_a_failed_dump_lets_no_old_one_of_its_database_go(scene: Scene) -> None:
    scene.components = {"keep": 1, "lock_wait_seconds": 1}
    first = scene.back_up()
    with scene.locked("events", "auditlog"):
        assert scene.run().ended == "CommandFailed"
    assert scene.ids("auditlog") == [first]


def test_an_archive_that_was_cut_does_not_count_among_those_kept(scene: Scene) -> None:
    scene.components = {"keep": 2}
    first, second = scene.back_up(), scene.back_up()
    archive = scene.archive("auditlog", second)
    archive.write_bytes(archive.read_bytes()[:-100])
    third = scene.back_up()
    assert scene.ids("auditlog") == [first, second, third]
    assert scene.ids("zabbix") == [second, third]
