"""The lab's proof that nothing changed, its troubles and its outage meter do what they say."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.lab import processes
from tests.lab.addresses import mounts_under
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.lab.unchanged import is_read, is_read_statement
from tests.lab.writer import Writer

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def node(loopback_lab: LoopbackLab) -> PostgresNode:
    return loopback_lab.postgres("troubled", rows=500)


def test_nothing_changed_is_said_of_reads(node: PostgresNode) -> None:
    with LoopbackLab.unchanged(node) as seen:
        node.psql("SELECT count(*) FROM orders", database="shop")
        node.host.run(["stat", str(node.data_directory)])
    assert seen.statements["troubled"] == ("SELECT count(*) FROM orders",)
    assert [entry.command for entry in seen.commands["troubled"]] == [f"stat {node.data_directory}"]


def _touch_a_file(node: PostgresNode) -> None:
    (node.data_directory / "stray").touch()


def _edit_hba(node: PostgresNode) -> None:
    with (node.data_directory / "pg_hba.conf").open("a") as file:
        file.write("# a change\n")


def _run_a_command(node: PostgresNode) -> None:
    node.host.run(["mkdir", "-p", "/tmp"])


def _write_a_row(node: PostgresNode) -> None:
    with psycopg.connect(node.conninfo("shop")) as connection:
        connection.execute("UPDATE customers SET name = 'x' WHERE id = 1")


def _make_a_directory_beside(node: PostgresNode) -> None:
    (node.directory / f"main.aside.{time.time_ns()}").mkdir()


@pytest.mark.parametrize(
    "change",
    [_touch_a_file, _edit_hba, _run_a_command, _write_a_row, _make_a_directory_beside],
)
def test_a_change_is_named(node: PostgresNode, change: Callable[[PostgresNode], None]) -> None:
    with pytest.raises(AssertionError, match="changed:"), LoopbackLab.unchanged(node):
        change(node)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ls -la /backups", True),
        ("test -d /x && df -B1 /x 2>/dev/null | cat", True),
        ("/usr/lib/postgresql/15/bin/pg_controldata /x", True),
        ("repmgr -f /etc/repmgr.conf cluster show --csv", True),
        ("repmgr -f /etc/repmgr.conf standby promote", False),
        ("ls; rm -rf /x", False),
        ("find /x -delete", False),
        ("cat /a > /b", False),
        ("pg_ctl stop", False),
        ("env PGAPPNAME=x psql -X -d a -c 'SELECT 1; SELECT 2'", True),
        ("env 'PGOPTIONS=-c lock_timeout=0' psql -X -d a -c 'SELECT 1'", True),
        ("env 'PGOPTIONS=-c lock_timeout=0' psql -X -d a -c 'DROP TABLE x'", False),
        ("psql -c 'SELECT pg_reload_conf()'", False),
        ("psql -c 'DROP TABLE x'", False),
        ("psql -f -", False),
    ],
)
def test_reading_commands_are_told_from_others(command: str, expected: bool) -> None:
    assert is_read(command) is expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT 1", True),
        ("BEGIN", True),
        ("with a as (delete from t returning 1) select 1", False),
        ("SELECT pg_switch_wal()", False),
        ("select pg_promote()", False),
        ("DROP TABLE t", False),
        ("BASE_BACKUP (LABEL 'x')", False),
    ],
)
def test_reading_statements_are_told_from_others(statement: str, expected: bool) -> None:
    assert is_read_statement(statement) is expected


def test_a_killed_server_is_dead_and_comes_back(node: PostgresNode) -> None:
    with LoopbackLab.trouble.killed(node):
        assert not node.is_running()
    assert node.psql("SELECT 1") == "1"


def test_a_frozen_server_holds_its_port_and_is_silent(node: PostgresNode) -> None:
    impatient = node.conninfo().replace("connect_timeout=5", "connect_timeout=2")
    with LoopbackLab.trouble.frozen(node):
        assert node.is_running()
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            psycopg.connect(impatient)
    assert node.psql("SELECT 1") == "1"


def test_an_unreachable_host_is_cut_off_in_mid_command(node: PostgresNode) -> None:
    session = subprocess.Popen([*node.host.ssh(), "sleep 60"], stderr=subprocess.DEVNULL)
    processes.until(lambda: node.host.journal[-1].command == "sleep 60", "the command runs")
    with LoopbackLab.trouble.unreachable(node.host):
        assert session.wait(10) == 255
        assert node.host.run(["true"], check=False).returncode == 255
    assert node.host.run(["true"]).returncode == 0


def test_a_full_disk_takes_no_more(tmp_path: Path) -> None:
    with LoopbackLab.trouble.full_disk(tmp_path / "full", size=1 << 20, free=64 << 10) as full:
        (full / "fits").write_bytes(b"x" * (32 << 10))
        with pytest.raises(OSError, match="No space left"):
            (full / "more").write_bytes(b"x" * (64 << 10))
    assert not mounts_under(tmp_path)


def test_a_writer_measures_an_outage(node: PostgresNode) -> None:
    began = time.monotonic()
    with Writer(node.conninfo("shop")) as writer:
        node.stop()
        time.sleep(0.5)
        node.start()
        writer.wait_for_rows(3)
        report = writer.stop()
    count = node.psql(
        f"SELECT count(*), max(number) FROM writer_rows WHERE run = '{report.run}'",
        database="shop",
    )
    assert 0.5 < report.outage < time.monotonic() - began
    assert report.last_success_before_failure < report.first_failure
    assert count == f"{report.acknowledged}|{report.acknowledged}"
