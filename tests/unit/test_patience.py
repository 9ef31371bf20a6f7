"""Our psql has its own patience, whatever is set for applications, and nobody has to read it."""

from __future__ import annotations

import pytest

from runbook.hosts import Command, Host
from runbook.postgres import Node
from runbook.tools import libpq, pg_dump, pg_dumpall, pg_restore, psql


def test_a_statement_ends_on_the_server_soon_after_its_time_here() -> None:
    command = Node(name="n", host=Host(name="h")).statement("SELECT 1", timeout=60)
    assert dict(command.env)["PGOPTIONS"] == "-c statement_timeout=65000 -c lock_timeout=0"
    assert "OPTIONS" not in str(command)


def test_a_script_may_take_as_long_as_it_takes() -> None:
    command = psql.script("psql", "SELECT 1", user="", port=1, socket="", database="d")
    assert dict(command.env)["PGOPTIONS"] == "-c statement_timeout=0 -c lock_timeout=0"
    assert "OPTIONS" not in str(command)


def test_what_waits_for_no_standby_keeps_its_patience() -> None:
    command = Node(name="n", host=Host(name="h")).statement("SELECT 1", timeout=60)
    env = libpq.without_waiting(command).env
    assert [value for name, value in env if name == "PGOPTIONS"] == [
        "-c statement_timeout=65000 -c lock_timeout=0 -c synchronous_commit=local"
    ]
    (alone,) = libpq.without_waiting(Command(("repmgr",))).env
    assert alone == ("PGOPTIONS", "-c synchronous_commit=local")


@pytest.mark.parametrize(
    "command",
    [
        pg_dump.custom(
            "pg_dump",
            "f",
            user="",
            port=1,
            socket="",
            database="d",
            compression=1,
            lock_wait_seconds=60,
        ),
        pg_dump.plain("pg_dump", "f", user="", role="r", port=1, socket="", database="d"),
        pg_dumpall.dump("pg_dumpall", user="", port=1, socket="", name="n"),
        pg_restore.load("pg_restore", "f", user="", port=1, socket="", database="d", jobs=2),
        psql.load("psql", "f", user="", role="r", port=1, socket="", database="d", major=15),
    ],
    ids=lambda command: str(command).split()[0],
)
def test_a_dump_or_a_load_is_ended_by_no_time_limit_of_a_role(command: Command) -> None:
    assert dict(command.env)["PGOPTIONS"] == "-c statement_timeout=0 -c lock_timeout=0"
