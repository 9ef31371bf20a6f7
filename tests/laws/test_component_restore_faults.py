"""component-restore refuses before its first change, and no fault costs the living database."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.stores.places import port_of
from tests.contract.stores.proxy import Fault, Proxy, proxy
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.lab.s3 import S3Server
from tests.laws import component_restore_scene
from tests.laws.component_restore_scene import LOADING, Restores
from tests.laws.outcome import Outcome, Point

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Restores:
    """Build the server once."""
    return component_restore_scene.build(loopback_lab, "cf")


@pytest.fixture
def there(built: Restores) -> Iterator[Restores]:
    """Give the server with the dumps of databases that have been written to since."""
    built.reset()
    yield built
    built.scene.settled()


def failed(there: Restores, said: str, **arguments: object) -> Outcome:
    """Insist that a run ends with an error, and that the living database is what it was."""
    before = (there.made(), there.rows())
    outcome = there.run(**arguments)
    assert not outcome.completed
    assert said in outcome.said, outcome.said
    assert (there.made(), there.rows(), there.is_open()) == (*before, True)
    assert there.app_runs()
    return outcome


def refused(there: Restores, said: str, **arguments: object) -> None:
    """Insist that it also ends before the first change of any database."""
    outcome = failed(there, said, **arguments)
    assert not [line for line in outcome.commands if "DATABASE" in line]


def test_people_s_refusal_and_what_is_unknown_change_nothing(there: Restores) -> None:
    refused(there, "refused", answer="refuse")
    refused(there, "no component database", database="billing")
    refused(there, "there is no dump '../../x' of component", backup="../../x")
    refused(there, "keeps no dumps in a store", source="store")


def test_a_dump_that_was_cut_or_changed_is_refused_before_people_are_asked(
    there: Restores,
) -> None:
    whole = there.archive().read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    there.archive().write_bytes(bytes(changed))
    refused(there, "is not what its record says")
    there.archive().write_bytes(whole[: len(whole) * 6 // 10])
    refused(there, "there is no dump of component")
    refused(there, "is not what its record says", backup=there.stamp)


def test_a_dump_of_newer_programs_or_of_another_system_is_refused(there: Restores) -> None:
    there.rewrite(client_version="pg_dump (PostgreSQL) 18.1")
    refused(there, "pg_dump (PostgreSQL) 18.1; here 15")
    there.rewrite(client_version="pg_dump (PostgreSQL) 15.1", server_major=16)
    refused(there, "by a pg_dump no newer")
    there.rewrite(server_major=15, system_identifier="42", as_of="2020-01-02T04:04:05+01:00")
    refused(there, "is of this database system")
    done = there.restored(other_system=True)
    assert "what was written since 2020-01-02 03:04:05 UTC" in str(done.plan)


def test_a_role_that_is_missing_is_told_before_or_ends_the_load(there: Restores) -> None:
    for role, database, said in (
        ("reader", "component", "missing: role reader"),
        ("viewer", "zabbix", 'role "viewer" does not exist'),
        ("auth", "component", "missing: role auth"),
        ("keeper", "auditlog", "missing: role keeper"),
    ):
        there.first.psql(f"ALTER ROLE {role} RENAME TO former")
        try:
            failed(there, said, database=database)
        finally:
            there.first.psql(f"ALTER ROLE former RENAME TO {role}")


def test_a_load_that_is_ended_in_its_middle_leaves_nothing(there: Restores) -> None:
    with there.gate_closed():
        running = there.scene.runner.start(
            "component-restore", cluster=there.scene.name, database="zabbix"
        )
        there.until_loading()
        ending = LOADING.replace("count(*) > 0", "pg_terminate_backend(pid)")
        there.first.psql(ending)
        outcome = running.outcome(60)
    assert outcome.ended == "CommandFailed"
    assert "terminating connection" in outcome.said
    assert there.made() == []


def test_a_full_disk_is_told_before_and_leaves_nothing_when_it_fills(
    there: Restores, loopback_lab: LoopbackLab
) -> None:
    first, disk = there.first, there.scene.base / "disk"
    with loopback_lab.trouble.full_disk(disk, size=64 << 20, free=30 << 20):
        first.psql(f"CREATE TABLESPACE small LOCATION '{disk}'")
        first.psql("CREATE DATABASE roomy TABLESPACE small")
        text = "SELECT md5(random()::text) AS text FROM generate_series(1, 120000)"
        first.psql(f"CREATE TABLE grown AS {text}", database="roomy")
        try:
            there.scene.components = {"databases": ["roomy"]}
            made = there.scene.run()
            assert made.completed, made.said
            failed(there, f"room on {disk} of cf beside", database="roomy")
            loopback_lab.trouble.fill(disk / "ballast", 9 << 20)
            record = next((there.scene.folder() / "roomy").glob("*.json"))
            record.write_text(record.read_text().replace('"database_size": ', '"database_size": -'))
            failed(there, "No space left on device", database="roomy")
            assert first.psql("SELECT count(*) FROM grown", database="roomy") == "120000"
        finally:
            first.psql("DROP DATABASE roomy WITH (FORCE)")
            first.psql("DROP TABLESPACE small")


def test_the_wal_that_waits_for_an_archiver_wants_room_too(there: Restores) -> None:
    """The database alone would take 0.72 of what is free, and its WAL 0.6."""
    first = there.first
    free = shutil.disk_usage(first.data_directory).free
    there.rewrite(database_size=int(0.6 * free))
    assert there.run(dry_run=True).completed
    try:
        archive(first, "on")
        refused(there, "WAL counts in full where it is archived")
    finally:
        archive(first, "off")


def archive(node: PostgresNode, mode: str) -> None:
    """Let a server archive its WAL, or not."""
    node.psql(f"ALTER SYSTEM SET archive_mode = {mode}")
    node.stop()
    node.start()


def test_patience_set_for_applications_ends_no_statement_of_ours(there: Restores) -> None:
    there.first.psql("ALTER ROLE postgres SET statement_timeout TO '1ms'")
    try:
        there.restored(database="zabbix")
    finally:
        there.first.psql("ALTER ROLE postgres RESET statement_timeout")
    assert there.text("zabbix") == there.dumped["zabbix"]


def test_what_was_changed_after_the_load_is_not_put_in_place(there: Restores) -> None:
    assert there.run(at=Point("5")).ended == "killed"
    new = there.made()[0]
    for sql, said, back in (
        (
            "INSERT INTO public.users VALUES (0, 'x')",
            "public.users: 501 rows, dumped 500",
            "DELETE FROM public.users WHERE id = 0",
        ),
        (
            "ALTER TABLE public.users OWNER TO reader",
            "1 of reader",
            "ALTER TABLE public.users OWNER TO auth",
        ),
        ("DROP EXTENSION pgcrypto", "extensions: pgcrypto", "CREATE EXTENSION pgcrypto"),
    ):
        there.first.psql(sql, database=new)
        failed(there, said)
        there.first.psql(back, database=new)
    there.restored()


def test_a_database_of_somebody_s_own_under_our_name_is_not_dropped(there: Restores) -> None:
    own = "component_incoming_20200101000000"
    there.first.psql(f"CREATE DATABASE {own}")
    there.first.psql("CREATE TABLE own (x int)", database=own)
    failed(there, "bears no run's mark, and is not empty")


def in_s3(there: Restores, between: Proxy, s3: S3Server, base: Path) -> None:
    """Let the dumps go to a store behind the proxy."""
    (base / "secret").write_text(s3.secret)
    location = {"kind": "s3", "bucket": s3.bucket, "addressing": "path"}
    location["endpoint_url"] = f"http://127.0.0.1:{between.port}"
    secret = {"file": str(base / "secret")}
    there.scene.stores["vault"] = {"location": location, "key_id": s3.key_id, "secret": secret}
    there.scene.components = {"store": "vault"}


def test_from_a_store_that_is_overloaded_for_a_moment_a_dump_comes_home_whole(
    there: Restores, moto_s3: S3Server, tmp_path: Path
) -> None:
    with proxy(port_of(moto_s3.endpoint)) as between:
        in_s3(there, between, moto_s3, tmp_path)
        dumped = there.text("component")
        made = there.scene.back_up()
        for path in there.scene.folder().rglob(f"*{made}*"):
            path.unlink()
        before = there.scene.files()
        there.first.psql("DELETE FROM public.users", database="component")
        cancelled = Point("3", transfer=True, signal=signal.SIGTERM)
        assert there.run(source="store", at=cancelled).ended == "_Terminated"
        assert there.scene.files() == before
        for point in (Point("3", action=1), Point("3", transfer=True)):
            assert there.run(source="store", at=point).ended == "killed"
            assert made not in there.scene.ids("component")
        between.next(Fault(status=503))
        there.restored(source="store")
        assert between.connections > 1
    assert there.text("component") == dumped
    assert there.scene.ids("component")[-1] == made
    assert there.scene.unfinished() == []
