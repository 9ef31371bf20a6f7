"""A standby's small print: settings that do not suffice, who waits for whom, names, passwords."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runbook.hosts import Command
from runbook.postgres import Node
from runbook.postgres.passfile import line_for, password_in
from runbook.standby.login import Answer
from runbook.standby.requirements import Settings
from runbook.standby.role import verifier
from runbook.standby.synchronous import Waiting, only, waits_for

ENOUGH = Settings(
    wal_level="replica",
    max_wal_senders=10,
    max_replication_slots=10,
    listen_addresses="*",
    max_slot_wal_keep_size="-1",
    senders=2,
    slots=1,
)


def test_nothing_is_changed_where_everything_suffices() -> None:
    assert ENOUGH.lacking("10.0.3.10") == {}
    assert ENOUGH.model_copy(update={"wal_level": "logical"}).lacking("10.0.3.10") == {}


@pytest.mark.parametrize(
    ("now", "wanted"),
    [
        ({"wal_level": "minimal"}, {"wal_level": "replica"}),
        ({"max_wal_senders": 4}, {"max_wal_senders": "10"}),
        ({"max_wal_senders": 20, "senders": 18}, {"max_wal_senders": "21"}),
        ({"max_replication_slots": 2}, {"max_replication_slots": "10"}),
        ({"listen_addresses": "localhost"}, {"listen_addresses": "*"}),
        ({"listen_addresses": "localhost, 10.0.3.10"}, {}),
    ],
)
def test_what_does_not_suffice_is_raised_and_nothing_else(
    now: dict[str, object], wanted: dict[str, str]
) -> None:
    assert ENOUGH.model_copy(update=now).lacking("10.0.3.10") == wanted


def test_the_plan_says_how_much_wal_a_slot_may_keep() -> None:
    assert "disk is full" in ENOUGH.slot_limit
    assert "10GB" in ENOUGH.model_copy(update={"max_slot_wal_keep_size": "10GB"}).slot_limit


@pytest.mark.parametrize("names", ["*", "pks-2", 'FIRST 1 ("pks-2")', "ANY 1 (a, PKS-2)", "a, *"])
def test_commits_wait_for_a_standby_that_is_named_or_meant(names: str) -> None:
    assert waits_for(names, "pks-2")


@pytest.mark.parametrize("names", ["", "pks-1", 'FIRST 1 ("pks-20")', "ANY 1 (a, b)"])
def test_commits_do_not_wait_for_others(names: str) -> None:
    assert not waits_for(names, "pks-2")


@pytest.mark.parametrize(
    ("setting", "others", "shared", "hangs"),
    [
        ("", (), False, False),
        ("*", (), False, True),
        ("*", ("b",), True, False),
        ('FIRST 1 ("c")', (), False, True),
        ("ANY 1 (b, C)", ("b",), True, False),
        ("ANY 1 (b, c)", (), True, True),
        ("FIRST 2 (b, c)", ("b",), True, True),
        ("2 (b, c, d)", ("b", "d"), True, False),
        ("b", (), True, False),
    ],
)
def test_a_setting_that_means_others_is_told_from_one_that_means_this_standby_alone(
    setting: str, others: tuple[str, ...], shared: bool, hangs: bool
) -> None:
    now = Waiting(setting, "c", others)
    assert (now.shared, now.hangs) == (shared, hangs)


@given(st.text(min_size=1).filter(lambda name: "\x00" not in name))
def test_a_standby_is_found_in_the_setting_that_is_written_for_it(name: str) -> None:
    assert waits_for(only(name), name)
    assert not Waiting(only(name), name).shared


@given(st.text(st.characters(exclude_characters="\n\r\x00", exclude_categories=["Cs"]), min_size=1))
def test_a_password_comes_back_from_the_password_file_as_it_was(password: str) -> None:
    assert password_in(line_for("repuser", password), "repuser") == password
    assert password_in(line_for("somebody", password), "repuser") == ""


def test_postgresql_is_given_a_verifier_and_never_the_password() -> None:
    made = verifier("repuser", "a secret word")
    assert made.startswith("SCRAM-SHA-256$4096:")
    assert "secret" not in made
    assert made != verifier("repuser", "a secret word")


def test_a_confidential_script_is_never_shown() -> None:
    command = Command(("psql", "-f", "-"), stdin="the secret", confidential=True)
    assert "secret" not in str(command) + repr(command)
    assert command.input() == b"the secret"


@pytest.mark.parametrize(
    ("refused", "reached", "by_rules"),
    [
        ("Connection refused\n\tIs the server running on that host?", False, False),
        ('FATAL:  no pg_hba.conf entry for replication connection from host "1.2.3.4"', True, True),
        ('FATAL:  password authentication failed for user "repuser"', True, False),
        ("connection to server failed: timeout expired", False, False),
    ],
)
def test_a_refusal_tells_whether_a_server_spoke(
    refused: str, reached: bool, by_rules: bool
) -> None:
    answer = Answer(refused=refused)
    assert (answer.reached, answer.by_rules) == (reached, by_rules)


def test_a_server_in_a_container_needs_its_directory_on_the_machine() -> None:
    settings = {
        "name": "pks-1",
        "host": {"name": "pks-1"},
        "service": {"kind": "docker-container", "container": "pks-db"},
    }
    with pytest.raises(ValidationError, match="needs data_directory"):
        Node.model_validate(settings)
    node = Node.model_validate({**settings, "data_directory": "/srv/pks/db", "os_user": "root"})
    line = node.console.shown(node.statement("SELECT 1"))
    assert line.startswith("docker exec -i -u postgres pks-db psql ")
    assert node.service.seen_inside(node.directory()) == "/var/lib/postgresql/data"
    assert node.workshop("/srv/pks/repl").shown(Command(("ls",))) == (
        "docker run --rm -i -u postgres -v /srv/pks/repl:/srv/pks/repl "
        "$(docker inspect -f '{{.Image}}' pks-db) ls"
    )
