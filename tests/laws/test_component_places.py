"""Where component dumps go: every server of a pair, or the master and a store; and refusals."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.contract.stores.places import port_of
from tests.contract.stores.proxy import Fault, proxy
from tests.lab import judge, processes, split
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import BIN_DIRECTORY
from tests.lab.s3 import S3Server
from tests.laws import component_scene
from tests.laws.component_scene import DATABASES, Scene
from tests.laws.outcome import Outcome, Point

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Scene:
    """Build the pair once."""
    return component_scene.build(loopback_lab, "cp", "cs", rows=500)


@pytest.fixture
def scene(built: Scene) -> Iterator[Scene]:
    """Give the pair with default settings and no dumps."""
    built.empty()
    yield built
    built.settled()
    assert built.unfinished() == []


def refused(scene: Scene, said: str, **arguments: str) -> Outcome:
    """Insist that plan and run are refused alike and that nothing was written."""
    before = scene.files()
    assert said in scene.run(dry_run=True, **arguments).said
    outcome = scene.run(**arguments)
    assert not outcome.completed
    assert said in outcome.said
    assert outcome.commands == []
    assert scene.files() == before
    return outcome


def in_store(scene: Scene) -> None:
    """Let the dumps go to the store, too."""
    scene.components = {"store": "store"}


def test_without_a_store_every_server_keeps_its_own_dumps(scene: Scene) -> None:
    made = scene.back_up()
    for node in scene.nodes:
        assert scene.ids(at=scene.folder(node)) == [made]
        roles = {scene.record(name, made, scene.folder(node))["role"] for name in DATABASES}
        assert roles == {"primary" if node is scene.first else "standby"}
        assert scene.record("zabbix", made, scene.folder(node))["as_of"]
    archive = scene.archive("zabbix", made, scene.folder(scene.nodes[1]))
    component_scene.restored_by_hand(scene.first, archive, "by_hand")
    held = scene.fingerprint("zabbix", held_in="by_hand")
    scene.first.psql("DROP DATABASE by_hand")
    assert held == scene.fingerprint("zabbix")
    assert "hot_standby_feedback is off on cs" in scene.run(dry_run=True).told


def test_a_standby_that_does_not_answer_keeps_no_other_server_from_its_dumps(scene: Scene) -> None:
    scene.nodes[1].stop()
    try:
        outcome = scene.run()
    finally:
        scene.nodes[1].start()
    assert outcome.ended == "CheckFailed"
    assert "no answer from cs" in outcome.said
    assert len(scene.ids()) == 1


def test_replay_that_ends_a_dump_is_told_with_what_to_do(scene: Scene) -> None:
    scene.components = {"databases": ["auditlog"]}
    standby = scene.nodes[1]
    standby.psql("ALTER SYSTEM SET max_standby_streaming_delay = 0")
    standby.reload()
    with ExitStack() as replay:
        with scene.locked("events", "auditlog"):
            running = scene.runner.start("component-backup", cluster=scene.name)
            scene.until_dumping()
            scene.until_dumping(standby)
            replay.enter_context(split.replay_paused(standby))
        processes.until(lambda: scene.ids() != [], "the primary has dumped")
        scene.first.psql("BEGIN; LOCK TABLE events; COMMIT", database="auditlog")
        locked = judge.position(scene.first)
        processes.until(lambda: judge.received(standby) >= locked, "the standby knows the lock")
    outcome = running.outcome()
    standby.psql("ALTER SYSTEM RESET max_standby_streaming_delay")
    standby.reload()
    assert outcome.ended == "CommandFailed"
    assert "Replay on cs ended the dump. Set hot_standby_feedback there" in outcome.said
    assert scene.ids(at=scene.folder(standby)) == []


def test_with_a_store_the_master_alone_keeps_local_dumps(scene: Scene) -> None:
    in_store(scene)
    made = scene.back_up()
    assert scene.ids() == [made]
    assert not scene.folder(scene.nodes[1]).exists()
    for database in DATABASES:
        assert scene.ids(database, scene.vault) == [made]
        stored = scene.archive(database, made, scene.vault)
        assert stored.read_bytes() == scene.archive(database, made).read_bytes()
        assert scene.record(database, made, scene.vault) == scene.record(database, made)
    again = scene.run(run_id=scene.record("zabbix", made)["run_id"])
    assert (again.completed, again.changed) == (True, 0)


@pytest.mark.parametrize("point", [Point("5", action=1), Point("5", action=3)], ids=str)
def test_a_run_that_is_killed_while_it_uploads_is_finished_by_itself_or_cleared(
    scene: Scene, point: Point
) -> None:
    in_store(scene)
    run_id = "abcdefabcdefabcdefabcdefabcdefab"
    assert scene.run(at=point, run_id=run_id).ended == "killed"
    made = scene.ids()
    again = scene.run(run_id=run_id)
    assert again.completed, again.said
    assert scene.ids() == made
    assert [scene.ids(name, scene.vault) for name in DATABASES] == [made] * 3


def test_a_database_that_cannot_be_dumped_keeps_no_other_from_the_store(scene: Scene) -> None:
    in_store(scene)
    assert scene.run(at=Point("5", action=1)).ended == "killed"
    (unsent,) = scene.ids()
    assert scene.ids(at=scene.vault) == []
    scene.components = {**scene.components, "lock_wait_seconds": 1}
    with scene.locked("events", "auditlog"):
        assert scene.run().ended == "CommandFailed"
    assert scene.ids(at=scene.vault) == [unsent]
    assert len(scene.ids("zabbix", scene.vault)) == len(scene.ids("zabbix")) == 2
    assert scene.unfinished() == []


def test_the_rule_holds_in_the_store_too(scene: Scene) -> None:
    in_store(scene)
    scene.components["keep"] = 1
    scene.back_up()
    last = scene.back_up()
    assert scene.ids() == scene.ids(at=scene.vault) == [last]


def test_a_store_that_is_overloaded_for_a_moment_is_asked_again(
    scene: Scene, moto_s3: S3Server
) -> None:
    with proxy(port_of(moto_s3.endpoint)) as between:
        (scene.base / "secret").write_text(moto_s3.secret)
        location = {"kind": "s3", "bucket": moto_s3.bucket, "addressing": "path"}
        location["endpoint_url"] = f"http://127.0.0.1:{between.port}"
        scene.stores["vault"] = {
            "location": location,
            "key_id": moto_s3.key_id,
            "secret": {"file": str(scene.base / "secret")},
        }
        scene.components = {"store": "vault"}
        between.next(Fault(status=503), Fault(status=503))
        assert scene.run().completed
        assert between.connections > 2


def test_a_store_without_room_is_told_before_the_first_dump(
    scene: Scene, loopback_lab: LoopbackLab
) -> None:
    in_store(scene)
    with loopback_lab.trouble.full_disk(scene.base / "store", size=1 << 20):
        refused(scene, "has room for the dumps")


def test_a_folder_beside_the_living_data_leaves_the_server_its_room(
    scene: Scene, loopback_lab: LoopbackLab
) -> None:
    in_store(scene)
    node, trouble = scene.first, loopback_lab.trouble
    scene.components["directory"] = f"{node.directory}/dumps"
    node.stop()
    with trouble.small_disk(node, free=100 << 20) as ballast:
        node.start()
        trouble.fill(ballast, 6 << 20)
        refused(scene, "of it for the server that lives there")
        ballast.unlink()
        assert scene.run().completed
    node.start()


def test_a_full_disk_is_told_before_and_while_it_fills(
    scene: Scene, loopback_lab: LoopbackLab
) -> None:
    folder = scene.folder()
    with loopback_lab.trouble.full_disk(folder, size=4 << 20):
        refused(scene, "has room for the dumps")
    folder.rmdir()
    made = scene.back_up()
    sizes = {name: scene.archive(name, made).stat().st_size for name in DATABASES}
    kept = scene.base / "kept"
    shutil.move(folder, kept)
    with loopback_lab.trouble.full_disk(folder, size=8 << 20, free=0) as disk:
        (disk / "ballast").unlink()
        processes.run(["cp", "-a", f"{kept}/.", disk])
        scene.first.psql(
            "CREATE TABLE grown AS SELECT md5(random()::text) || md5(random()::text) AS text"
            " FROM generate_series(1, 300000)",
            database="zabbix",
        )
        try:
            outcome = scene.run()
        finally:
            scene.first.psql("DROP TABLE grown", database="zabbix")
        # The dump that does not fit, or the record of a smaller one that ended beside it.
        assert outcome.ended in ("CommandFailed", "StoreError"), outcome.said
        assert "pg_dump" in outcome.said
        assert "No space left on device" in outcome.said
        assert scene.ids("zabbix") == [made]
        assert scene.archive("zabbix", made).stat().st_size == sizes["zabbix"]
        assert scene.unfinished() == []
    shutil.rmtree(kept)
    folder.rmdir()


def test_a_database_that_is_missing_or_closed_ends_the_run_before_the_first_dump(
    scene: Scene,
) -> None:
    scene.components = {"databases": [*DATABASES, "billing"]}
    assert "missing: billing" in refused(scene, "every component database is on cp").said
    scene.components = {}
    scene.first.psql("ALTER DATABASE zabbix ALLOW_CONNECTIONS false")
    try:
        refused(scene, "datallowconn is false for zabbix")
    finally:
        scene.first.psql("ALTER DATABASE zabbix ALLOW_CONNECTIONS true")


def test_a_folder_that_cannot_be_written_or_lies_in_the_data_is_refused(scene: Scene) -> None:
    scene.components = {"directory": "/proc/backups"}
    refused(scene, "postgres can write to /proc/backups on cp")
    scene.components = {"directory": f"{scene.first.data_directory}/backups"}
    refused(scene, "outside the data directory")


def test_programs_of_another_major_version_are_refused(scene: Scene) -> None:
    _pg_dump_is(scene, "echo 'pg_dump (PostgreSQL) 16.2'")
    refused(scene, "pg_dump on cp is of the server's major version, 15")


def test_an_archive_that_cannot_be_read_to_its_end_never_bears_its_name(scene: Scene) -> None:
    real = BIN_DIRECTORY / "pg_dump"
    _pg_dump_is(
        scene,
        f'{real} "$@" || exit\n[ "$1" != --version ] || exit 0\n'
        'while [ "$1" != -f ]; do shift; done; truncate -s -100 -- "$2"',
    )
    outcome = scene.run()
    assert outcome.ended == "CommandFailed"
    assert "pg_restore ended with exit code 1" in outcome.said
    assert scene.files() == []


def _pg_dump_is(scene: Scene, script: str) -> None:
    """Let a script stand in pg_dump's place, on every server."""
    other = scene.base / "bin"
    shutil.rmtree(other, ignore_errors=True)
    other.mkdir()
    for path in BIN_DIRECTORY.iterdir():
        if path.name != "pg_dump":
            (other / path.name).symlink_to(path)
    (other / "pg_dump").write_text(f"#!/bin/sh\n{script}\n")
    (other / "pg_dump").chmod(0o755)
    scene.node = {"bin_directory": str(other)}


def test_pg_dump_that_dies_in_the_middle_is_told_and_leaves_nothing(scene: Scene) -> None:
    with scene.locked("events", "auditlog"):
        running = scene.runner.start("component-backup", cluster=scene.name)
        for node in scene.nodes:
            scene.until_dumping(node)
            node.psql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'pg-runbooks' AND wait_event_type = 'Lock'"
            )
        outcome = running.outcome()
    assert outcome.ended == "CommandFailed"
    assert "pg_dump ended with exit code 1" in outcome.said
    assert scene.ids() == []


def test_settings_that_name_no_database_or_a_template_are_refused(scene: Scene) -> None:
    for names in ([], ["a=b"], ["zabbix", "zabbix"], ["template1"], ["../etc"]):
        scene.components = {"databases": names}
        assert scene.run().ended == "SettingsError"
