"""Which rule decides for a replication login, and where a missing one goes."""

from __future__ import annotations

import pytest

from runbook.errors import CheckFailed
from runbook.postgres.hba import HbaRule, deciding, lets_in, narrowest
from runbook.postgres.login import address_seen


def rule(line: int, database: str, user: str, address: str, method: str, **more: str) -> HbaRule:
    base, _, bits = address.partition("/")
    masks = {"32": "255.255.255.255", "24": "255.255.255.0", "0": "0.0.0.0", "": None}
    return HbaRule(
        line_number=line,
        type=more.get("type", "host"),
        database=(database,),
        user_name=(user,),
        address=base,
        netmask=masks[bits],
        auth_method=method,
    )


ALL = rule(3, "all", "all", "0.0.0.0/0", "trust")
REJECT = rule(5, "replication", "all", "0.0.0.0/0", "reject")
LOOPBACK = rule(7, "replication", "postgres", "127.0.0.1/32", "scram-sha-256")
SSL = rule(6, "replication", "all", "127.0.0.1/32", "trust", type="hostssl")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], None),
        ([ALL], None),
        ([ALL, LOOPBACK], LOOPBACK),
        ([REJECT, LOOPBACK], REJECT),
        ([SSL, LOOPBACK], LOOPBACK),
        ([rule(1, "replication", "other", "127.0.0.1/32", "trust"), LOOPBACK], LOOPBACK),
        ([rule(1, "replication", "all", "10.0.0.0/24", "trust"), LOOPBACK], LOOPBACK),
        (
            [rule(1, "replication", "all", "samehost", "md5")],
            rule(1, "replication", "all", "samehost", "md5"),
        ),
    ],
)
def test_the_first_rule_that_covers_the_login_decides(
    rules: list[HbaRule], expected: HbaRule | None
) -> None:
    assert deciding(rules, "postgres", "127.0.0.1", ssl=False) == expected


def test_a_rule_for_all_databases_is_not_one_for_replication() -> None:
    assert not lets_in(deciding([ALL], "postgres", "127.0.0.1", ssl=False), has_password=True)


def test_a_password_rule_needs_a_password() -> None:
    assert not lets_in(LOOPBACK, has_password=False)
    assert lets_in(LOOPBACK, has_password=True)
    assert not lets_in(REJECT, has_password=True)


def test_a_tls_rule_decides_where_tls_is_on() -> None:
    assert deciding([SSL, LOOPBACK], "postgres", "127.0.0.1", ssl=True) == SSL


def test_ipv6_rules_are_compared_by_their_netmask() -> None:
    ones = ":".join(["ffff"] * 8)
    six = HbaRule(
        line_number=1,
        type="host",
        database=("replication",),
        user_name=("all",),
        address="::1",
        netmask=ones,
        auth_method="trust",
    )
    assert deciding([six], "postgres", "::1", ssl=False) == six
    assert deciding([six], "postgres", "::2", ssl=False) is None
    assert deciding([six], "postgres", "127.0.0.1", ssl=False) is None


@pytest.mark.parametrize(
    ("other", "might"),
    [
        (rule(1, "replication", "+staff", "127.0.0.1/32", "reject"), True),
        (rule(1, "replication", "/^post", "127.0.0.1/32", "reject"), True),
        (rule(1, "replication", "all", "db1.example", "reject"), True),
        (rule(1, "replication", "all", "10.0.0.0/24", "reject"), False),
        (rule(1, "all", "all", "0.0.0.0/0", "reject"), False),
        (rule(1, "replication", "repmgr", "127.0.0.1/32", "reject"), False),
        (rule(1, "replication", "all", "127.0.0.1/32", "reject", type="local"), False),
        (rule(1, "replication", "all", "127.0.0.1/32", "reject", type="hostssl"), True),
    ],
)
def test_what_only_the_server_can_tell_might_decide(other: HbaRule, *, might: bool) -> None:
    assert other.may_decide("postgres", "127.0.0.1") is might


def test_the_narrowest_rule_names_one_user_and_one_address() -> None:
    assert narrowest("postgres", "127.0.0.1", "trust").split()[2:] == [
        "postgres",
        "127.0.0.1/32",
        "trust",
    ]
    assert narrowest("repmgr", "::1", "trust").split()[3] == "::1/128"


@pytest.mark.parametrize("user", ["all", "+staff", "/x", "two words", "a#b", 'a"b', "a,b"])
def test_a_user_name_that_means_something_else_is_quoted(user: str) -> None:
    quoted = '"' + user.replace('"', '""') + '"'
    assert narrowest(user, "127.0.0.1", "trust").startswith(f"host    replication     {quoted}")


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        (
            'FATAL:  no pg_hba.conf entry for replication connection from host "127.0.0.1"',
            "127.0.0.1",
        ),
        (
            'connection to server at "10.0.0.9", port 5432 failed: FATAL:  pg_hba.conf rejects '
            'replication connection for host "10.0.0.5", user "b", no encryption',
            "10.0.0.5",
        ),
        ("FATAL:  kein pg_hba.conf-Eintrag von Host »fe80::5«, Benutzer »b«", "fe80::5"),
        ("FATAL:  something else", "10.1.1.1"),
    ],
)
def test_the_address_is_the_one_that_the_server_saw(refused: str, expected: str) -> None:
    assert address_seen(refused, "10.1.1.1") == expected


def test_a_name_is_no_address_for_a_rule() -> None:
    with pytest.raises(CheckFailed, match="address of localhost"):
        address_seen("FATAL: no", "localhost")
