"""Declared HTTP checks against a real server: sent, judged, handed on, cleaned up, kept secret."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from runbook.errors import CheckFailed
from runbook.health.check import HttpCheck
from runbook.health.conversation import problem
from runbook.health.sequence import HttpSequence
from tests.contract.health.portal import PASSWORD, TOKEN, USER, Portal, certificate, later, served

SECRETS = {"portal": SecretStr(PASSWORD)}
LOGIN = {
    "name": "log in",
    "method": "POST",
    "changes": False,
    "url": "{at}/login",
    "json_body": {"username": USER, "password": "{secret:portal}"},
    "extract": {"token": {"path": "access_token"}},
}
BEARER = {"kind": "bearer", "token": "{token}"}
CREATE = {
    "name": "create",
    "method": "POST",
    "url": "{at}/kv",
    "status": [200, 201],
    "auth": BEARER,
    "json_body": {"key": "check-{unique}"},
    "extract": {"id": {"path": "id"}},
}
READ = {
    "name": "read",
    "url": "{at}/kv/{id}",
    "auth": BEARER,
    "json_equals": {"starts_with(key, 'check-')": True},
}
DELETE = {
    "name": "delete",
    "method": "DELETE",
    "url": "{at}/kv/{id}",
    "auth": BEARER,
    "status": 204,
}


@pytest.fixture
def portal() -> Iterator[Portal]:
    with served(Portal()) as made:
        yield made


def at(portal: Portal, value: Any) -> Any:
    """Write the portal's address into the settings, which do not choose it by a placeholder."""
    if isinstance(value, dict):
        return {key: at(portal, item) for key, item in value.items()}
    if isinstance(value, list):
        return [at(portal, item) for item in value]
    return value.replace("{at}", portal.url) if isinstance(value, str) else value


def declared(portal: Portal, **settings: Any) -> HttpCheck:
    return HttpCheck.model_validate(at(portal, {"name": "a check", "within": 0, **settings}))


def key_value(portal: Portal, **settings: Any) -> HttpCheck:
    return declared(portal, calls=[LOGIN, CREATE, READ], cleanup=[DELETE], **settings)


def test_the_short_form_is_one_call(portal: Portal) -> None:
    assert not problem(declared(portal, url="{at}/", contains="the portal"), {})
    assert not problem(declared(portal, url="{at}/", method="HEAD"), {})
    assert "expected 204" in problem(declared(portal, url="{at}/", status=204), {})
    assert "does not contain" in problem(declared(portal, url="{at}/", contains="shop"), {})
    assert portal.requests == ["GET /", "HEAD /", "GET /", "GET /"]


def test_a_token_of_the_login_opens_the_next_call(portal: Portal) -> None:
    alarms = {"url": "{at}/alarms", "auth": BEARER, "json_empty": ["alarms[?state=='open']"]}
    check = declared(portal, calls=[LOGIN, alarms])
    assert not check.writes
    portal.alarms = [{"state": "closed", "text": "disk"}]
    assert not problem(check, SECRETS)
    portal.alarms.append({"state": "open", "text": "link down"})
    trouble = problem(check, SECRETS)
    assert "has 1 entries, expected none" in trouble
    assert "link down" in trouble


def test_a_list_that_is_not_there_is_not_an_empty_one(portal: Portal) -> None:
    alarms = {"url": "{at}/alarms", "auth": BEARER, "json_empty": ["alarm"]}
    assert "alarm is null, expected an empty list" in problem(
        declared(portal, calls=[LOGIN, alarms]), SECRETS
    )


def test_true_is_not_one(portal: Portal) -> None:
    wanted = {"url": "{at}/alarms", "auth": BEARER, "json_equals": {"ok": 1}}
    assert "ok is true, expected 1" in problem(declared(portal, calls=[LOGIN, wanted]), SECRETS)


def test_a_form_a_header_a_cookie_and_basic_credentials_are_sent(portal: Portal) -> None:
    form = {"username": USER, "password": "{secret:portal}"}
    login = {**LOGIN, "form_body": form, "extract": {"csrf": {"header": "x-csrf"}}}
    del login["json_body"]
    session = {"url": "{at}/session", "headers": {"X-Csrf-Token": "{csrf}"}}
    assert not problem(declared(portal, calls=[login, session]), SECRETS)
    assert portal.headers[-1]["x-csrf-token"] == "c1"
    auth = {"kind": "basic", "user": USER, "password": "{secret:portal}"}
    assert not problem(declared(portal, url="{at}/basic", auth=auth), SECRETS)


def test_what_was_created_is_deleted(portal: Portal) -> None:
    check = key_value(portal)
    assert check.writes
    assert not problem(check, SECRETS)
    assert [request.split("/")[0] for request in portal.requests] == [
        "POST ",
        "POST ",
        "GET ",
        "DELETE ",
    ]
    assert portal.values == {}


def test_what_was_created_is_deleted_when_a_call_in_the_middle_fails(portal: Portal) -> None:
    check = key_value(portal)
    portal.broken = {"GET /kv/id2": (500, 9)}
    trouble = problem(check, SECRETS)
    assert "read: GET" in trouble
    assert "answered 500" in trouble
    assert portal.requests[-1] == "DELETE /kv/id2"
    assert portal.values == {}


def test_nothing_is_cleaned_up_that_was_not_begun(portal: Portal) -> None:
    portal.broken = {"POST /login": (403, 1)}
    trouble = problem(key_value(portal), SECRETS)
    assert "answered 403" in trouble
    assert portal.requests == ["POST /login"]
    assert "left behind" not in trouble
    named = {**DELETE, "url": "{at}/kv/{unique}", "auth": {"kind": "basic", "user": USER}}
    named["auth"]["password"] = "{secret:portal}"
    portal.broken = {"POST /login": (403, 1)}
    problem(declared(portal, calls=[LOGIN, CREATE], cleanup=[named]), SECRETS)
    assert portal.requests == ["POST /login"] * 2


def test_a_value_cannot_leave_its_place_in_a_url(portal: Portal) -> None:
    odd = {"url": "{at}/odd", "extract": {"name": {"path": "name"}}}
    problem(declared(portal, calls=[odd, {"url": "{at}/kv/{name}"}]), {})
    assert portal.requests[-1] == "GET /kv/a%2Fb%20c%3Fd"


def test_what_cannot_be_cleaned_up_is_told(portal: Portal) -> None:
    portal.broken = {"POST /kv": (200, 1)}
    trouble = problem(key_value(portal), SECRETS)
    assert "something may be left behind: delete: DELETE" in trouble
    portal.requests.clear()
    portal.broken = {"DELETE /kv/id2": (403, 99)}
    assert "not cleaned up: delete: DELETE" in problem(key_value(portal), SECRETS)
    assert portal.values


def test_cleaning_up_is_tried_again_while_the_server_is_in_trouble(portal: Portal) -> None:
    portal.broken = {"DELETE /kv/id2": (503, 1)}
    assert not problem(key_value(portal), SECRETS)
    assert portal.values == {}


def test_a_cancelled_check_cleans_up(portal: Portal) -> None:
    """SIGINT comes while the second call waits for its answer."""
    begun = threading.Event()
    answer = portal.answer

    def slow(method: str, path: str, *more: Any) -> Any:
        made = answer(method, path, *more)
        if path.startswith("/kv/") and method == "GET":
            begun.set()
            later(0.1, lambda: signal.pthread_kill(main, signal.SIGINT))
            threading.Event().wait(0.5)
        return made

    main = threading.main_thread().ident
    assert main is not None
    portal.answer = slow  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        problem(key_value(portal), SECRETS)
    assert begun.is_set()
    assert portal.values == {}


def test_a_reading_call_is_repeated_until_it_is_answered_as_expected(portal: Portal) -> None:
    portal.broken = {"GET /": (503, 2)}
    assert not problem(declared(portal, url="{at}/", within=20), {})
    assert portal.requests == ["GET /"] * 3


def test_a_changing_call_is_not_repeated_once_it_was_sent(portal: Portal) -> None:
    portal.broken = {"POST /kv": (503, 1)}
    assert "answered 503" in problem(key_value(portal, within=20), SECRETS)
    assert portal.requests.count("POST /kv") == 1


def test_a_changing_call_waits_until_somebody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    check = HttpCheck(name="c", url=f"http://127.0.0.1:{port}/kv", method="POST", within=0.5)
    assert "no connection" in problem(check, {})


def test_a_redirect_is_told_and_not_followed(portal: Portal) -> None:
    auth = {"kind": "basic", "user": USER, "password": "{secret:portal}"}
    trouble = problem(declared(portal, url="{at}/moved", auth=auth), SECRETS)
    assert f"redirects to {portal.url}/, which is not followed" in trouble
    assert portal.requests == ["GET /moved"]
    assert not problem(declared(portal, url="{at}/moved", status=302), {})


def test_secrets_and_tokens_are_in_no_text(portal: Portal) -> None:
    asked = {"url": "{at}/alarms", "auth": BEARER, "json_equals": {"echo": "else"}}
    shown = {**LOGIN, "status": 201}
    wrong = {**LOGIN, "status": 401, "json_equals": {"error": "none"}}
    wrong["json_body"] = {"username": "nobody", "password": "{secret:portal}"}
    for calls in ([LOGIN, asked], [shown], [wrong]):
        check = declared(portal, calls=calls)
        action = HttpSequence(check, SECRETS)
        with pytest.raises(CheckFailed) as failed:
            action.perform()
        for text in (str(failed.value), str(action), repr(action), repr(check)):
            assert "MARKER" not in text
    assert portal.headers[1]["authorization"].removeprefix("Bearer ") == TOKEN


def test_a_dry_run_shows_every_call_as_one_would_type_it(portal: Portal) -> None:
    lines = str(HttpSequence(key_value(portal), SECRETS)).splitlines()
    assert lines[1] == (
        "curl -X POST -H 'Authorization: Bearer ***' --json '{\"key\": \"check-{unique}\"}' "
        f"{portal.url}/kv"
    )
    assert lines[3].startswith("curl -X DELETE ")
    assert lines[3].endswith("# cleaning up")


def test_tls_is_verified_against_the_named_certificates(tmp_path: Path) -> None:
    ca_file, context = certificate(tmp_path)
    with served(Portal(), context) as portal:
        assert portal.url.startswith("https")
        trouble = problem(declared(portal, url="{at}/"), {})
        assert "certificate verify failed" in trouble
        assert portal.requests == []
        assert not problem(declared(portal, url="{at}/", ca_file=str(ca_file)), {})
        other = portal.url.replace("127.0.0.1", "localhost")
        check = HttpCheck(name="c", url=other, within=0, ca_file=str(ca_file))
        assert "certificate verify failed" in problem(check, {})
    missing = HttpCheck(name="c", url="https://127.0.0.1:9/", ca_file=str(tmp_path / "none"))
    assert "CA file" in problem(missing, {})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "either a url or calls"),
        ({"url": "http://h/", "calls": [{"url": "http://h/"}]}, "either a url or calls"),
        ({"status": 201, "calls": [{"url": "http://h/"}]}, "write ['status'] into them"),
        ({"url": "ftp://h/"}, "begins with https"),
        ({"url": "http://u:p@h/"}, "write its credentials as auth"),
        ({"url": "http://h/{secret:a}"}, "write its credentials as auth"),
        ({"url": "http://{secret:a}/"}, "write its credentials as auth"),
        ({"url": "http://h/{token}"}, "gives ['token']"),
        ({"url": "http://{unique}.h/"}, "may not choose the host"),
        ({"url": "http://h/{no way}"}, "is no placeholder"),
        ({"url": "http://h/", "headers": {"Authorization": "abc"}}, "must be a reference"),
        ({"url": "http://h/", "json_body": {"a": [{"password": "x"}]}}, "must be a reference"),
        ({"url": "http://h/", "form_body": {"api_key": "x"}}, "must be a reference"),
        ({"url": "http://h/", "json_empty": ["a[?"]}, "is no JMESPath"),
        ({"url": "http://h/", "extract": {"a": {}}}, "either a path or a header"),
        ({"url": "http://h/", "json_body": {}, "form_body": {"a": "b"}}, "not both"),
        (
            {"url": "http://h/", "auth": {"kind": "basic", "user": "u", "password": "p"}},
            "should match pattern",
        ),
        ({"url": "http://h/", "metod": "GET"}, "Extra inputs"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        HttpCheck.model_validate({"name": "x", **settings})
    assert said in str(refused.value)
