"""What a load tells of its errors: never a row of the database."""

from __future__ import annotations

import pytest

from runbook.orchestrator.hush import errors_of
from runbook.tools import orchestrator_cli, psql

SAID = """\
Starting up database... done
pg_restore: while PROCESSING TOC:
pg_restore: error: COPY failed for table "nodes": ERROR:  duplicate key value "s3cret"
DETAIL:  Key (name)=(s3cret) already exists.
CONTEXT:  COPY nodes, line 2: "1 error: s3cret"
Command was: INSERT INTO nodes VALUES (1, 's3cret
it is an error: s3cret');
psql:/home/x/orchestrator.sql:60: ERROR:  23505
FATAL:  the database system is shutting down
cat: write error: No space left on device
tar: s3cret: Cannot write: No space left on device
pg_restore: error: could not execute query: ERROR:  must be owner of extension plpgsql
pg_restore: error: could not execute query: ERROR:  role "orchestrator" already exists
"""


def test_errors_are_told_without_what_they_quote() -> None:
    assert errors_of(SAID) == (
        "pg_restore: error: COPY failed for table *** ERROR: duplicate key value ***",
        "psql:/home/x/orchestrator.sql:60: ERROR: 23505",
        "FATAL: the database system is shutting down",
        "cat: write error: No space left on device",
        "tar: No space left on device",
        "1 more lines that tell of errors, in words of their own",
    )
    assert errors_of("") == ()


def test_an_sqlstate_is_told_in_every_language_and_a_warning_in_none() -> None:
    said = "psql:/x/dump.sql:{}: {}:  {}"
    assert errors_of(said.format(60, "ОШИБКА", "23505")) == ("psql:/x/dump.sql:60: ОШИБКА: 23505",)
    assert errors_of(said.format(61, "FEHLER", "23505"))
    assert errors_of(said.format(62, "WARNUNG", "01000")) == ()


OTHERWISE = (
    'pg_restore: [archiver (db)] could not execute query: ERROR:  relation "nodes" exists',
    "Error: cannot restore",
    "[ERROR] cannot restore",
    "[error] cannot restore",
    'time=12:00 level=error msg="cannot restore"',
    "Restoring... ERROR: cannot restore",
    "2026-11-22 04:00:00 UTC [17] FATAL:  cannot restore",
    "pg_restore: warning: errors ignored on restore: 3",
)


@pytest.mark.parametrize("line", OTHERWISE)
def test_an_error_that_is_told_in_another_way_is_found_and_nothing_of_its_line_told(
    line: str,
) -> None:
    (told,) = errors_of(f"Starting up database... done\n{line}\n")
    assert "cannot restore" not in told
    assert "nodes" not in told


WELL = (
    "Restored without errors.",
    "0 errors",
    "NOTICE:  relation error_log does not exist, skipping",
    "creating table errors... done",
    "pg_restore: error: could not execute query: ERROR:  must be owner of extension plpgsql\n"
    "pg_restore: warning: errors ignored on restore: 1",
)


@pytest.mark.parametrize("said", WELL)
def test_what_is_no_error_is_none(said: str) -> None:
    assert errors_of(said) == ()


def test_of_a_text_that_is_not_the_servers_own_nothing_is_told() -> None:
    said = "psql:x.sql:3: ERROR:  bad row s3cret of nodes\nERROR:  could not open s3cret file 3"
    assert errors_of(said) == ("psql:x.sql:3: ERROR: ***", "ERROR: could not open ***")


@pytest.mark.parametrize(("major", "verbosity"), [(15, "sqlstate"), (12, "sqlstate"), (9, "terse")])
def test_a_load_by_psql_tells_no_more_than_line_and_code(major: int, verbosity: str) -> None:
    known = {"user": "u", "role": "r", "socket": "", "database": "d"}
    command = psql.load("psql", "f", port=1, major=major, **known)
    assert f"-v VERBOSITY={verbosity} -v SHOW_CONTEXT=never" in str(command)


def test_the_login_to_a_node_ends_by_itself_whatever_the_node_says() -> None:
    command = orchestrator_cli.ssh("/opt/cli", user="u", number=3)
    assert (command.leashed, command.timeout, command.stdin) == (True, 120, "")
    assert str(command) == "printf '3\\nexit 0\\n' | /opt/cli ssh"
