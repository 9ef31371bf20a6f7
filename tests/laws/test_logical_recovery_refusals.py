"""What logical-recovery refuses before the first change: nothing is stopped, nothing is lost."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deployments.cli.finding import Finding
from deployments.cli.logical_findings import logical_findings
from runbook.inventory import read_inventory
from runbook.logical.load import survey
from runbook.logical.metadata import LogicalMetadata, StoredPart
from runbook.logical.recovery.comparison import differences, own_objects, unexpected
from runbook.logical.recovery.definitions import deviating_roles, deviations
from tests.lab import processes, split, trouble
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.laws import logical_recovery_scene
from tests.laws.logical_recovery_scene import (
    GUID,
    STAMP,
    Recoverable,
    blocked,
    forget,
    recover,
    store,
)
from tests.laws.logical_recovery_store import stored

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def scene(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Recoverable:
    base = tmp_path_factory.mktemp("lrr")
    return logical_recovery_scene.build(loopback_lab, "lrr", "lrs", base=base)


@pytest.fixture
def pair(scene: Recoverable) -> Iterator[Recoverable]:
    """A primary and its standby, with the settings as they were, and their one backup."""
    yield scene
    scene.login = "root"
    scene.recovery.clear()
    for path in scene.folder.iterdir():
        path.unlink()
    store(scene, STAMP, scene.sql)


def refused(scene: Recoverable, *said: str, **arguments: Any) -> None:
    """Run a recovery that must be refused; every server, and the port, stays as it is."""
    before = scene.servers()
    outcome = recover(scene, **arguments)
    assert not outcome.completed
    for words in said:
        assert words in outcome.said, outcome.said
    assert scene.servers() == before
    assert not blocked(scene)
    assert not [entry for entry in outcome.record if entry["event"] == "intent"]


def planned(scene: Recoverable, **arguments: Any) -> str:
    """Give the plan of a recovery that is possible."""
    outcome = recover(scene, dry_run=True, **arguments)
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    return outcome.plan.markdown()


def test_a_backup_that_is_not_there_is_refused(pair: Recoverable) -> None:
    refused(pair, "there is no logical backup", pair.id, backup=f"{GUID}-1")


def test_a_missing_part_is_refused(pair: Recoverable) -> None:
    (pair.folder / f"{pair.id}-1").unlink()
    refused(pair, f"backup {pair.id} is not whole", "part 1 is missing")


def test_swapped_parts_are_refused(pair: Recoverable) -> None:
    first, second = (pair.folder / f"{pair.id}-{index}" for index in (1, 2))
    first.rename(pair.folder / "between")
    second.rename(first)
    (pair.folder / "between").rename(second)
    refused(pair, "cannot be decompressed", "out of order")


def test_a_part_that_is_cut_is_refused(pair: Recoverable) -> None:
    part = pair.folder / f"{pair.id}-1"
    os.truncate(part, part.stat().st_size - 4096)
    refused(pair, "cannot be decompressed")


def test_a_wrong_key_is_refused(pair: Recoverable) -> None:
    (pair.base / "key").write_text("another key")
    try:
        refused(pair, f"no key opens {pair.id}", "encryption_keys")
    finally:
        (pair.base / "key").write_text(logical_recovery_scene.KEY)


def test_a_dump_that_was_cut_is_refused(pair: Recoverable) -> None:
    name = store(pair, STAMP + 1, pair.sql[: len(pair.sql) // 2])
    refused(pair, "is not whole", "pg_dumpall was cut off", backup=name)


def test_a_hostile_dump_is_refused(pair: Recoverable) -> None:
    place = b"SET standard_conforming_strings = on;\n"
    for evil in (b"\\! touch /tmp/owned\n", b"COPY (SELECT 1) TO PROGRAM 'id';\n"):
        name = store(pair, STAMP + 2, pair.sql.replace(place, place + evil, 1))
        refused(pair, "ERROR:", "HINT:", backup=name)
        forget(pair, name)


def test_a_dump_that_is_newer_than_the_server_is_refused(pair: Recoverable) -> None:
    for of, told in (
        (b"-- Dumped from database version ", "the server that was dumped is not newer"),
        (b"-- Dumped by pg_dump version ", "the pg_dump that wrote it is not newer"),
    ):
        name = store(pair, STAMP + 3, pair.sql.replace(of + b"1", of + b"9"))
        refused(pair, told, backup=name)
        forget(pair, name)


def test_a_dump_with_rows_for_template1_is_refused(pair: Recoverable) -> None:
    made = b"CREATE TABLE public.everywhere (x integer);\n"
    table = made + b"COPY public.everywhere (x) FROM stdin;\n1\n\\.\n"
    place = b"SET row_security = off;\n"
    name = store(pair, STAMP + 4, pair.sql.replace(place, place + table, 1))
    refused(pair, "the backup brings nothing into template1", backup=name)


def test_what_the_load_would_lack_is_refused_all_at_once(pair: Recoverable) -> None:
    head, place = b"SET standard_conforming_strings = on;\n", b"SET row_security = off;\n"
    space = b"CREATE TABLESPACE fast OWNER postgres LOCATION '/nowhere/fast';\n"
    theirs = b"CREATE TABLESPACE theirs OWNER postgres LOCATION '/usr';\n"
    brought = b"CREATE EXTENSION IF NOT EXISTS nowhere WITH SCHEMA public;\n"
    sql = pair.sql.replace(head, head + space + theirs, 1).replace(place, place + brought, 1)
    sql, changed = re.subn(
        rb"(CREATE DATABASE ledger .* LOCALE = )'[^']*'", rb"\1'xx_YY.UTF-8'", sql
    )
    assert changed
    lacking = [
        'extension "nowhere" is not available',
        'invalid locale name: "xx_YY.UTF-8"',
        'directory "/nowhere/fast" does not exist',
        'directory "/usr" does not belong to postgres',
    ]
    name = store(pair, STAMP + 7, sql)
    refused(pair, "; ".join(lacking), "locale-gen", backup=name)
    pair.recovery["expected_errors"] = ["already exists", *lacking]
    planned(pair, backup=name)


def test_one_that_is_still_uploaded_and_one_of_a_longer_guid_are_not_the_latest(
    pair: Recoverable,
) -> None:
    store(pair, STAMP + 5, b"-- still on its way", record=False)
    longer = f"{GUID}-1-{STAMP + 6}"
    (pair.folder / f"{longer}.json").write_text("{}")
    (pair.folder / f"{longer}-0").write_bytes(b"not ours")
    assert f"backup:** {pair.id}," in planned(pair, backup="latest")


def test_a_backup_of_another_system_is_told(pair: Recoverable) -> None:
    """Of a new site, or a server made anew: the nightly backups stop until it is said once."""
    assert "ANOTHER SYSTEM" not in planned(pair)
    now = datetime.now(UTC)
    paths = sorted(pair.folder.glob(f"{pair.id}-*"), key=lambda path: int(path.name.split("-")[-1]))
    parts = [
        StoredPart(name=path.name, size=path.stat().st_size, sha256=_digest(path.read_bytes()))
        for path in paths
    ]
    record = LogicalMetadata(
        **dict.fromkeys(("server_version", "dump_version", "encoding", "cipher", "kdf"), ""),
        id=pair.id,
        cluster=pair.name,
        node="lrr",
        system_identifier="7401",
        format="openssl",
        key_name="current",
        run_id="",
        parts=parts,
        dump_size=len(pair.sql),
        dump_sha256=_digest(pair.sql),
        **dict.fromkeys(("began", "finished", "verified"), now),
    )
    (pair.folder / f"{pair.id}.json").write_bytes(record.text())
    told = planned(pair)
    assert f"ANOTHER SYSTEM:** {pair.id} is of 7401" in told
    assert "take backups now, with other_system=true, once" in told


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_an_alias_that_leads_elsewhere_is_refused(pair: Recoverable) -> None:
    primary, standby = pair.nodes
    pair.recovery["alias"] = standby.host.address
    refused(pair, f"{standby.host.address} leads to {primary.name}")
    pair.recovery["alias"] = primary.host.address
    assert f"{primary.host.address} leads to {primary.name}" in planned(pair)


def test_a_server_that_only_reads_by_default_is_refused(pair: Recoverable) -> None:
    """The databases could not be set aside, in the outage."""
    primary = pair.nodes[0]
    off = "SET default_transaction_read_only = off; "
    for setting, source, reset in (
        ("SYSTEM SET", "configuration file", "ALTER SYSTEM RESET default_transaction_read_only"),
        ("DATABASE template1 SET", "database", f"{off}ALTER DATABASE template1 RESET ALL"),
    ):
        primary.psql(f"ALTER {setting} default_transaction_read_only = on")
        primary.reload()
        try:
            refused(pair, f"default_transaction_read_only is on, set by: {source}", "ALTER SYSTEM")
        finally:
            primary.psql(reset)
            primary.reload()
    planned(pair)


def test_no_room_for_the_backup_is_refused(pair: Recoverable) -> None:
    pair.recovery["space_factor"] = 1e9
    refused(pair, "has room for the backup beside the databases of before", "space_factor")


def test_no_room_for_the_wal_that_a_failing_archiver_keeps_is_refused(pair: Recoverable) -> None:
    """The data alone would take 0.6 of what is free, and the WAL of the load as much again."""
    primary = pair.nodes[0]
    free = shutil.disk_usage(primary.data_directory).free
    pair.recovery["space_factor"] = 0.6 * free / len(pair.sql)
    planned(pair)
    try:
        archiving(primary, "on", "/bin/false", "failed_count")
        refused(pair, "of WAL that waits for the archiver", "archive_mode = off")
        archiving(primary, "on", "/bin/true", "archived_count")
        planned(pair)
    finally:
        archiving(primary, "off", "", "")


def archiving(node: PostgresNode, mode: str, command: str, until: str) -> None:
    """Let a server archive its WAL, or try to, at least once."""
    node.psql(f"ALTER SYSTEM SET archive_command = '{command}'")
    node.reload()
    if node.psql("SHOW archive_mode") != mode:
        node.psql(f"ALTER SYSTEM SET archive_mode = {mode}")
        node.stop()
        node.start()
    if until:
        node.psql("SELECT pg_switch_wal()")
        sql = f"SELECT {until} > 0 FROM pg_stat_archiver"
        processes.until(lambda: node.psql(sql) == "t", f"{until} of {node.name}", within=60)


def test_what_would_keep_the_wal_of_the_load_and_a_node_nobody_else_knows_are_refused(
    pair: Recoverable,
) -> None:
    primary = pair.nodes[0]
    slot = split.orphan_slot(primary)
    try:
        refused(pair, "would keep the WAL of the load", slot)
    finally:
        primary.psql(f"SELECT pg_drop_replication_slot('{slot}')")
    number = split.ghost(primary)
    witness = "UPDATE repmgr.nodes SET type = 'witness' WHERE node_id = {}"
    try:
        refused(pair, "the settings name every node that repmgr knows", f"id {number}")
        primary.psql(witness.format(number), database="repmgr")
        assert "repmgr witness register -F" in planned(pair)
    finally:
        primary.psql(f"DELETE FROM repmgr.nodes WHERE node_id = {number}", database="repmgr")


@pytest.mark.parametrize("kind", ["moto_s3", "azurite"])
def test_a_part_that_the_store_does_not_give_is_named_and_one_that_is_late_is_waited_for(
    pair: Recoverable, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    part = f"{pair.id}-1"
    with stored(pair, request.getfixturevalue(kind), tmp_path) as store:
        for status in (403, 404, 503):
            store.refuse(f"/{part} ".encode(), status)
            refused(pair, part, "HINT:")
        store.refuse(f"/{part} ".encode(), 503, times=2)
        planned(pair)
        assert store.left == 0, "the store was not asked for it"


def test_a_node_that_does_not_answer_is_refused_unless_it_is_left_out(pair: Recoverable) -> None:
    with trouble.unreachable(pair.nodes[1].host):
        refused(pair, "the host of lrs answers", "without=lrs")


def test_the_check_of_the_settings_finds_what_a_recovery_would_lack(pair: Recoverable) -> None:
    def found() -> dict[str, Finding]:
        inventory = read_inventory(pair.runner.inventory)
        cluster = inventory.cluster(pair.name)
        assert cluster.logical is not None
        store = inventory.store("store")
        return {one.what: one for one in logical_findings(cluster, cluster.logical, store)}

    sound = found()
    assert all(one.ok and not one.gravity for one in sound.values()), sound
    assert f"the newest is {pair.id}" in sound[f"logical backups of {GUID} can be listed"].seen
    assert "pg_dumpall (PostgreSQL) 15" in sound["pg_dumpall runs"].seen
    pair.login = "postgres"
    pair.recovery |= {"block_port": True, "repmgr": {}, "role_script": "/nowhere.sql"}
    lacking = found()
    assert not lacking["nft may be used as root"].ok
    assert not lacking["repmgr is run by monit"].ok
    assert lacking["/nowhere.sql is there"].gravity == "note"


MADE = {
    "TYPE mood AS ENUM ('sad')": "type mood",
    "DOMAIN grade AS int": "type grade",
    "TYPE span AS RANGE (subtype = float8)": "type span",
    "TYPE pair AS (a int)": "composite type pair",
    "SERVER far FOREIGN DATA WRAPPER postgres_fdw": "server far",
    "FOREIGN DATA WRAPPER wrapping": "foreign-data wrapper wrapping",
    "PUBLICATION news": "publication news",
    "CAST (text AS int) WITH INOUT": "cast from text to integer",
    "OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)": (
        "operator ===(integer,integer)"
    ),
    "COLLATION plain (locale = 'C')": "collation plain",
    "CONVERSION mine FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8": "conversion mine",
    "TEXT SEARCH CONFIGURATION words (COPY = simple)": "text search configuration words",
    "TEXT SEARCH DICTIONARY book (TEMPLATE = simple)": "text search dictionary book",
    "SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (connect = false, slot_name = NONE)": (
        "subscription s"
    ),
}


def test_whatever_people_have_made_in_a_database_is_seen(pair: Recoverable) -> None:
    """What is not set aside with it would end the load, in the outage: it exists already."""
    primary = pair.nodes[0]
    node = read_inventory(pair.runner.inventory).cluster(pair.name).nodes[0].located()
    primary.psql("CREATE DATABASE kinds TEMPLATE template0")
    brought = "CREATE EXTENSION postgres_fdw; CREATE EXTENSION hstore; CREATE EXTENSION citext"
    primary.psql(brought, database="kinds")
    assert own_objects(node, "kinds") == ()
    for what in MADE:
        primary.psql(f"CREATE {what}", database="kinds")
    primary.psql("SELECT lo_create(77)", database="kinds")
    seen = set(own_objects(node, "kinds"))
    assert {*MADE.values(), "large object 77"} - seen == set()
    primary.psql("DROP SUBSCRIPTION s", database="kinds")
    primary.psql("DROP DATABASE kinds")
    primary.psql("CREATE TYPE everywhere AS ENUM ('a')", database="template1")
    try:
        refused(pair, "nobody has made anything in it", "type everywhere")
    finally:
        primary.psql("DROP TYPE everywhere", database="template1")


def test_what_a_server_has_otherwise_than_the_dump_is_told(pair: Recoverable) -> None:
    node = read_inventory(pair.runner.inventory).cluster(pair.name).nodes[0].located()
    contents = survey(iter([pair.sql]))
    rows = "; ".join(differences(node, contents, ("ledger",)))
    assert "postgres: public.notes has 21 rows, the backup 20" in rows
    assert "public.parts" not in rows
    assert (
        "shop: sequence public.customers_id_seq is at 150 true, in the backup at 100 true" in rows
    )
    told = deviations(node, contents, ("ledger", "shop"))
    assert [line for line in told if "ALTER ROLE teller" in line] == [
        "the cluster lacks: ALTER ROLE teller WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB "
        "LOGIN NOREPLICATION NOBYPASSRLS PASSWORD ***"
    ]
    assert any(line.startswith("ledger lacks: CREATE TABLE books.entries") for line in told)
    assert not [line for line in told if line.startswith(("shop", "repmgr"))]
    assert unexpected(told, ("^the cluster", "^ledger")) == []
    told = deviating_roles(node, contents)
    assert [line.partition(" WITH ")[0] for line in told] == [
        "the cluster lacks: ALTER ROLE teller"
    ]
