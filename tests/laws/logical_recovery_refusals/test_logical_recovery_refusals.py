"""Servers on which logical-recovery is refused before the first change, and what it sees there."""

from __future__ import annotations

import shutil

import pytest

from deployments.cli.finding import Finding
from deployments.cli.logical_findings import logical_findings
from runbook.inventory import read_inventory
from runbook.logical.load import survey
from runbook.logical.recovery.comparison import differences, own_objects, unexpected
from runbook.logical.recovery.definitions import deviating_roles, deviations
from tests.lab import processes, split, trouble
from tests.lab.postgres import PostgresNode
from tests.laws.logical_recovery_refusals.refusal import planned, refused
from tests.laws.logical_recovery_scene import GUID, Recoverable

pytestmark = pytest.mark.lab


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


def test_a_node_that_does_not_answer_is_refused_unless_it_is_left_out(pair: Recoverable) -> None:
    with trouble.unreachable(pair.nodes[1].host):
        refused(pair, "the host of lrs answers", "without=lrs")


def test_the_check_of_the_settings_finds_what_a_recovery_would_lack(pair: Recoverable) -> None:
    def found() -> dict[str, Finding]:
        inventory = read_inventory(pair.runner.inventory)
        cluster = inventory.cluster(pair.name)
        assert cluster.logical is not None
        store = inventory.store("store")
        return {one.what: one for one in logical_findings(cluster, cluster.logical, store, set())}

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
