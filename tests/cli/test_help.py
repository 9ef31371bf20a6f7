"""The command line explains itself, at once and without a server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deployments.cli.app import app
from deployments.cli.runbooks import headlines, load, modules
from tests.cli.shop import COMMAND, REPOSITORY

HEAVY = ("prefect", "pydantic", "fabric", "boto3", "azure", "psycopg")


def said(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"COLUMNS": "200", "TERM": "dumb"} | settings,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_nothing_heavy_is_loaded_to_show_the_help() -> None:
    program = "import sys, deployments.cli; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, text=True, capture_output=True, check=True
    )
    assert set(HEAVY).isdisjoint(done.stdout.split())


def test_the_version_is_told() -> None:
    assert said("--version").stdout.startswith("pg-runbooks ")


@pytest.mark.parametrize("buffered", ["", "1"])
def test_an_output_that_cannot_be_written_is_an_error_and_no_traceback(buffered: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "--version"],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONUNBUFFERED": buffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR:  the output cannot be written: No space left on device")
    assert "Traceback" not in done.stderr


def test_the_help_of_run_lists_every_runbook_with_its_headline() -> None:
    text = said("run", "--help").stdout
    assert set(modules()) >= {"base-backup", "instance-restore", "prune"}
    for name, headline in headlines().items():
        assert headline
        assert f"{name}: {headline}" in text
    listed = text[text.index("* adopt") : text.index("verify-backup:")]
    assert all(line.strip() for line in listed.splitlines())


def test_the_helps_say_what_an_option_does_where_it_is_not_given() -> None:
    assert "the same as `run` without --go" in said_here("plan", "--help").stdout
    assert "Show the version and exit." in said_here("--help").stdout
    up = said_here("up", "--help").stdout
    assert "127.0.0.1 where PREFECT_SERVER_API_HOST does not say" in up
    assert "4200 where PREFECT_SERVER_API_PORT does not say" in up
    assert "default: 0" not in up


def test_a_command_that_needs_the_server_names_no_option_that_it_does_not_have() -> None:
    nowhere = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
    hints = {name: said(*name.split(), **nowhere).stderr for name in ("pending", "register")}
    assert all("pg-runbooks up" in hint for hint in hints.values()), hints
    assert not [name for name, hint in hints.items() if "--inventory" in hint]
    backups = said("backups", **nowhere)
    assert "do without it: --inventory FILE" in backups.stderr


@pytest.mark.parametrize("name", sorted(modules()))
def test_every_parameter_of_a_runbook_is_an_option_with_help(name: str) -> None:
    from deployments.cli.parameters import helps, options

    body = load(name).body
    assert {option.name for option in options(body)} == set(helps(body)) - {"dry_run"}
    assert all(helps(body).values())


def said_here(*arguments: str) -> Result:
    """Ask the command line in this process, which has the runbooks loaded."""
    wide = {"COLUMNS": "200", "TERM": "dumb"}
    return CliRunner().invoke(app, arguments, env=wide, catch_exceptions=False)


def test_the_help_of_a_runbook_shows_its_own_options() -> None:
    text = said_here("run", "instance-restore", "--help").stdout
    for part in ("--tablespace-map", "Id of the backup, or latest.", "--approve-by", "--go"):
        assert part in text
    assert "--dry-run" not in text
    assert "\n\n\n" not in re.sub(r" +\n", "\n", text)


def test_a_plan_cannot_be_told_to_act() -> None:
    done = said_here("plan", "base-backup", "--cluster", "any", "--go")
    assert done.exit_code == 2
    assert "--go" in done.stderr


def test_an_unknown_runbook_is_wrong_usage_and_the_known_ones_are_named() -> None:
    done = said("run", "base-backups", "--cluster", "any")
    assert done.returncode == 2
    assert "ERROR:  there is no runbook 'base-backups'" in done.stderr
    assert "instance-restore" in done.stderr


def test_a_missing_cluster_is_wrong_usage() -> None:
    done = said("run", "base-backup")
    assert done.returncode == 2
    assert "--cluster" in done.stderr
