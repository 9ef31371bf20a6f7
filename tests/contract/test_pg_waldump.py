"""Commits are counted from real WAL, also beside files that were made and never written."""

from __future__ import annotations

import shutil

import pytest

from runbook.hosts import Host
from runbook.postgres.state import ControlData, parse_controldata
from runbook.tools import pg_waldump
from runbook.units import Lsn
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode

pytestmark = pytest.mark.lab
HERE = Host(name="here")


@pytest.fixture(scope="module")
def node(loopback_lab: LoopbackLab) -> PostgresNode:
    """A server, and in its WAL a file before and one after all others that hold only zeros."""
    made = loopback_lab.postgres("waldump")
    made.psql("CREATE TABLE notes (n int)")
    wal = made.data_directory / "pg_wal"
    for name in ("000000010000000000000000", "0000000100000000000000FE"):
        (wal / name).write_bytes(bytes(16 << 20))
        shutil.chown(wal / name, "postgres")
    return made


def control(node: PostgresNode) -> ControlData:
    return parse_controldata(node.tool("pg_controldata", node.data_directory))


def counted(node: PostgresNode, start: str) -> list[str]:
    program, directory = str(node.bin_directory / "pg_waldump"), str(node.data_directory)
    first = control(node).wal_file(1, Lsn(start))
    command = pg_waldump.commits(program, directory, first, start, user="postgres")
    return HERE.run(command).stdout.splitlines()


def test_commits_are_counted_over_several_files(node: PostgresNode) -> None:
    start = node.psql("SELECT pg_current_wal_lsn()")
    for _ in range(3):
        node.psql("INSERT INTO notes VALUES (1)")
        node.psql("SELECT pg_switch_wal()")
    node.psql("INSERT INTO notes VALUES (2)")
    number, said = counted(node, start)
    assert number.startswith("4|20")
    assert pg_waldump.ENDS.search(said)


def test_nothing_after_the_end_is_no_commit(node: PostgresNode) -> None:
    node.psql("SELECT pg_switch_wal()")
    end = node.psql("SELECT pg_current_wal_insert_lsn()")
    number, said = counted(node, end)
    assert number == "0||"
    assert pg_waldump.ENDS.search(said)


def test_a_reading_that_fails_is_told_and_not_taken_for_the_end(node: PostgresNode) -> None:
    start = node.psql("SELECT pg_current_wal_lsn()")
    node.psql("INSERT INTO notes VALUES (3)")
    first = node.data_directory / "pg_wal" / control(node).wal_file(1, Lsn(start))
    command = pg_waldump.commits(
        "/nowhere/pg_waldump", str(node.data_directory), first.name, start, user="postgres"
    )
    _, said = HERE.run(command).stdout.splitlines()
    assert "not found" in said
    assert not pg_waldump.ENDS.search(said)


def test_wal_that_is_gone_is_told_and_not_taken_for_no_commits(node: PostgresNode) -> None:
    node.psql("SELECT pg_switch_wal()")
    start = node.psql("SELECT pg_current_wal_lsn()")
    for _ in range(3):
        node.psql("INSERT INTO notes VALUES (4)")
        node.psql("SELECT pg_switch_wal()")
    first = node.data_directory / "pg_wal" / control(node).wal_file(1, Lsn(start))
    first.unlink()
    _, said = counted(node, start)
    assert first.name in said
    assert pg_waldump.GONE in said
    assert not pg_waldump.ENDS.search(said)


def test_a_record_that_fills_more_than_a_file_is_found_whole(node: PostgresNode) -> None:
    start = node.psql("SELECT pg_current_wal_insert_lsn()")
    node.psql("SELECT length(pg_logical_emit_message(false, 'x', repeat('y', 20 << 20))::text)")
    end = node.psql("SELECT pg_switch_wal()")
    program, directory = str(node.bin_directory / "pg_waldump"), str(node.data_directory)
    first, last = (control(node).wal_file(1, Lsn(at)) for at in (start, end))
    assert first != last
    whole = pg_waldump.record(program, directory, first, start, user="postgres", last=last)
    assert "LogicalMessage" in HERE.attempt(whole).stdout
    half = HERE.attempt(pg_waldump.record(program, directory, first, start, user="postgres"))
    assert half.stdout == ""
    assert pg_waldump.ENDS.search(half.stderr)
