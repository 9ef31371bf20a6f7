"""How a value writes an address: what is understood, what is replaced, what is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook.errors import SettingsError
from runbook.repoint.form import Form, recognised
from runbook.repoint.target import Target

NEW = Target("10.0.0.2", 5433)


def replaced(text: str, target: Target, holds: str = "address") -> str:
    form = recognised(text, holds)
    assert form is not None
    for (start, end), new in sorted(form.replacements(text, target), reverse=True):
        text = text[:start] + new + text[end:]
    return text


def visible(text: str, form: Form) -> str:
    return "".join(text[slice(*span)] for span in form.shown)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("10.0.0.1", "10.0.0.2"),
        ("db-1.example.net", "10.0.0.2"),
        ("10.0.0.1:5432", "10.0.0.2:5433"),
        ("[::1]:5432", "10.0.0.2:5433"),
        ("::1", "10.0.0.2"),
        ("postgresql://apio:pw@10.0.0.1:5432/apio", "postgresql://apio:pw@10.0.0.2:5433/apio"),
        ("postgresql://apio:pw@10.0.0.1/apio", "postgresql://apio:pw@10.0.0.2/apio"),
        ("postgres://a:p%40:@x@10.0.0.1/a?b=c#d", "postgres://a:p%40:@x@10.0.0.2/a?b=c#d"),
        ("jdbc:postgresql://10.0.0.1:5432/a", "jdbc:postgresql://10.0.0.2:5433/a"),
        ("jdbc:postgresql://h/a?user=u&password=p@w", "jdbc:postgresql://10.0.0.2/a?user=u&password=p@w"),
        ("postgresql+asyncpg://u@[fe80::1]:5432", "postgresql+asyncpg://u@10.0.0.2:5433"),
        ("host=10.0.0.1 port=5432 user=a", "host=10.0.0.2 port=5433 user=a"),
        ("user=a password='x host=y' host='h'", "user=a password='x host=y' host='10.0.0.2'"),
        ("dbname = apio hostaddr = 10.0.0.1", "dbname = apio hostaddr = 10.0.0.2"),
    ],
)  # fmt: skip
def test_only_address_and_port_are_replaced(old: str, new: str) -> None:
    assert replaced(old, NEW) == new
    assert replaced(new, NEW) == new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("10.0.0.1", "fe80::2"),
        ("10.0.0.1:5432", "[fe80::2]:5432"),
        ("postgresql://a:b@10.0.0.1/c", "postgresql://a:b@[fe80::2]/c"),
        ("host=10.0.0.1", "host=fe80::2"),
    ],
)
def test_an_ipv6_address_gets_its_brackets_where_they_belong(old: str, new: str) -> None:
    assert replaced(old, Target("fe80::2")) == new


def test_a_port_stays_when_none_is_given_and_a_bare_one_is_replaced() -> None:
    assert replaced("10.0.0.1:6432", Target("10.0.0.2")) == "10.0.0.2:6432"
    assert replaced("5432", NEW, "port") == "5433"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "${DB_HOST}",
        "two words",
        "/var/run/postgresql",
        "10.0.0.1,10.0.0.2",
        "postgresql:///apio",
        "postgresql://h1,h2/apio",
        "postgresql://h1:1,h2:2/apio",
        "postgresql://apio:p/w@10.0.0.1/apio",
        "postgresql://apio:12/w@10.0.0.1/apio",
        "postgresql://apio:12?w@10.0.0.1/apio",
        "postgresql://apio:12#w@10.0.0.1/apio",
        "host=a hostaddr=10.0.0.1",
        "host=a host=b",
        "host=/run/postgresql dbname=apio",
        "dbname=apio",
        "password='host=10.0.0.1",
        "password= host=10.0.0.1",
        "10.0.0.1:port",
        "http://[::1",
    ],
)
def test_what_leaves_a_doubt_is_not_understood(value: str) -> None:
    assert recognised(value) is None


secret = st.text(
    st.characters(codec="utf-8", exclude_characters="/?#@ '\\\n\r", exclude_categories=["Z", "C"]),
    min_size=1,
).map(lambda text: f"S3CRET{text}")
name = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)


@given(name, secret, name, st.integers(1, 65535), name)
def test_no_password_of_a_url_is_shown_or_changed(
    user: str, password: str, host: str, port: int, database: str
) -> None:
    text = f"postgresql://{user}:{password}@{host}:{port}/{database}?password={password}"
    form = recognised(text)
    assert form is not None
    assert "S3CRET" not in visible(text, form)
    expected = f"postgresql://{user}:{password}@10.0.0.2:5433/{database}?password={password}"
    assert replaced(text, NEW) == expected


@given(name, secret, name)
def test_no_password_of_keywords_is_shown_or_changed(user: str, password: str, host: str) -> None:
    text = f"user={user} password='{password} host=x' sslpassword={password} host={host}"
    form = recognised(text)
    assert form is not None
    assert "S3CRET" not in visible(text, form)
    assert replaced(text, NEW) == text.removesuffix(host) + "10.0.0.2"


@pytest.mark.parametrize("address", ["", "a b", "10.0.0.1;rm", "x/y", "-", "a'b", "[::1]"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SettingsError):
        Target(address)


def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError):
        Target("db", 65536)
