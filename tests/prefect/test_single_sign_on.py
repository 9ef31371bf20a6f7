"""The shipped reverse proxy: a person signs in, a worker brings its login, nobody else goes in."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from deployments.settings import POOL
from tests.lab.processes import until
from tests.prefect.guarded import LOGIN, Guarded, basic, guarded_room, lets_in, visitor
from tests.prefect.single_sign_on import SingleSignOn, single_sign_on

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

_COUNT = "/api/flow_runs/count"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    with tempfile.TemporaryDirectory(prefix="single-sign-on-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with guarded_room(folder) as made:
            yield made


@pytest.fixture(scope="module")
def door(guarded: Guarded) -> Iterator[SingleSignOn]:
    folder = guarded.room.state.parent
    with single_sign_on(folder, guarded.proxy_port, guarded.room.where.port, LOGIN) as made:
        yield made


def _sign_in(door: SingleSignOn, name: str) -> httpx.Client:
    """Sign in as a person does: sent to the provider, known there, sent back."""
    browser = visitor(door.address, door.certificate)
    there = browser.get("/dashboard").headers["location"]
    back = httpx.post(there, data={"sub": name}).headers["location"]
    assert browser.get(back).headers["location"] == f"{door.address}/dashboard"
    return browser


def _await_logged(door: SingleSignOn, line: str) -> None:
    """Wait until the proxy has logged a request, which it does after it has answered."""
    until(lambda: line in door.log.read_text(), f"the log has {line}")


def test_who_has_not_signed_in_is_sent_to_the_provider(door: SingleSignOn) -> None:
    browser = visitor(door.address, door.certificate)
    for path in ("/", "/dashboard", "/docs", "/openapi.json", "/ui-settings"):
        sent = browser.get(path)
        assert sent.status_code == 302, path
        assert sent.headers["location"].startswith(f"{door.provider}/oauth2/authorize?")
    for path in ("/api/health", "/api/hello"):
        assert browser.get(path).status_code == 401, path
    assert browser.get("/", headers=basic(LOGIN)).status_code == 302
    assert browser.post(_COUNT, json={}).status_code == 401
    assert door.wire.kept == b""


def test_who_has_signed_in_reaches_ui_and_api_and_is_named(door: SingleSignOn) -> None:
    browser = _sign_in(door, "ada")
    assert "<title>Prefect" in browser.get("/dashboard", follow_redirects=True).text
    assert browser.get("/ui-settings").json()["auth"] is None
    door.wire.kept = b""
    claimed = {"X-Remote-User": "mallory", "X-Forwarded-User": "mallory"}
    counted = browser.post(_COUNT, json={}, headers=claimed)
    assert (counted.status_code, counted.json()) == (200, 0)
    arrived = door.wire.kept.decode()
    assert re.findall(r"(?im)^x-remote-user: (.*)\r$", arrived) == ["ada@example.net"]
    assert "mod_auth_openidc" not in arrived
    assert "OIDC_" not in arrived
    _await_logged(door, f"ada@example.net POST {_COUNT} 200")
    assert "code=" not in door.log.read_text()


def test_who_is_not_one_of_the_people_is_kept_out(door: SingleSignOn) -> None:
    browser = _sign_in(door, "eve")
    for path in ("/dashboard", "/ui-settings", "/api/hello"):
        assert browser.get(path).status_code == 403, path
    assert browser.post(_COUNT, json={}).status_code == 403
    _await_logged(door, f"eve@example.net POST {_COUNT} 403")


def test_the_page_of_another_site_cannot_act_for_a_person(door: SingleSignOn) -> None:
    browser = _sign_in(door, "ada")
    for site in ("cross-site", "same-site"):
        done = browser.post(_COUNT, json={}, headers={"Sec-Fetch-Site": site})
        assert done.status_code == 403
    own = browser.post(_COUNT, json={}, headers={"Sec-Fetch-Site": "same-origin"})
    assert own.status_code == 200
    (cookie,) = browser.cookies.jar
    assert cookie.secure
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") in {"Lax", "Strict"}


def test_workers_and_command_line_come_in_with_their_login(
    guarded: Guarded, door: SingleSignOn
) -> None:
    door.wire.kept = b""
    through = {
        "PREFECT_API_URL": f"{door.address}/api",
        "PREFECT_API_SSL_CERT_FILE": str(door.certificate),
        "PREFECT_SERVER_UI_API_URL": f"{door.address}/api",
    }
    done = guarded.command("pending", "--json", **through)
    assert (done.returncode, json.loads(done.stdout)) == (0, []), done.stderr
    assert re.findall(rb"(?im)^x-remote-user: *(.*)\r$", door.wire.kept)[:1] == [b""]
    wrong = guarded.command("pending", login="runbooks:wrong", **through)
    assert wrong.returncode == 1
    assert f"the Prefect server at {door.address}/api does not let us in" in wrong.stderr
    checked = json.loads(guarded.command("check", "--json", **through).stdout)
    assert [one["what"] for one in checked][:2] == [
        "the Prefect API asks for a login",
        f"work pool {POOL} is not paused",
    ]
    assert checked[0]["seen"] == f"{door.address}/api: HTTP 401"


def test_websockets_come_through_and_are_judged_by_the_server(door: SingleSignOn) -> None:
    api = f"{door.address}/api"
    for path in ("/events/in", "/events/out", "/logs/out"):
        assert lets_in(api + path, LOGIN, door.certificate), path
        assert not lets_in(api + path, "runbooks:wrong", door.certificate), path
    browser = visitor(door.address, door.certificate)
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    assert browser.post(_COUNT, json={}, headers=upgrade).status_code == 401
    assert browser.get("/api/hello", headers=upgrade).status_code >= 400


def test_of_hundreds_of_websockets_none_is_lost(door: SingleSignOn) -> None:
    url = f"{door.address}/api/events/in"
    assert all(lets_in(url, LOGIN, door.certificate) for _ in range(300))


def test_a_browser_shows_the_ui_without_asking_for_a_password(door: SingleSignOn) -> None:
    with sync_playwright() as play:
        flags = ["--no-sandbox", "--disable-gpu", "--ignore-certificate-errors"]
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        try:
            page = browser.new_page()
            refused: list[str] = []
            page.on("response", lambda said: said.status >= 400 and refused.append(said.url))
            page.goto(door.address)
            page.get_by_placeholder("sub").fill("ada")
            page.get_by_role("button", name="Authorize").first.click()
            page.wait_for_url(re.compile(f"{re.escape(door.address)}/.*dashboard"))
            for version in ("/", "/v2/"):
                page.goto(f"{door.address}{version}deployments")
                empty = page.get_by_role("heading", name="Create a deployment to get started")
                expect(empty).to_be_visible(timeout=30_000)
            assert page.url.startswith(door.address)
            assert refused == []
        finally:
            browser.close()
