"""The API behind its own login: everything of ours goes in, nobody else does."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from blocks.save import save
from deployments.openness import openness
from deployments.orders import follow, order, standing
from deployments.register import register
from runbook.cluster import Backups, Cluster
from runbook.hosts import Host
from runbook.inventory import Inventory, StoreSettings
from runbook.postgres import Node
from runbook.stores import FolderStore
from tests.lab.servers import free_port
from tests.prefect.conftest import world_of
from tests.prefect.guarded import (
    COMMAND,
    LOGIN,
    PASSWORD,
    Guarded,
    basic,
    command,
    environment,
    guarded_room,
    lets_in,
)
from tests.prefect.room import Room, until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

CLUSTER = "guarded"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded_room(tmp_path_factory.mktemp("guarded")) as made:
        yield made


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/flow_runs/count"),
        ("POST", "/block_documents/filter"),
        ("POST", "/flow_runs/00000000-0000-0000-0000-000000000000/resume"),
        ("DELETE", "/flow_runs/00000000-0000-0000-0000-000000000000"),
        ("GET", "/hello"),
    ],
)
def test_without_the_login_nothing_is_answered(guarded: Guarded, method: str, path: str) -> None:
    for headers in ({}, basic("runbooks:wrong"), basic(":")):
        done = httpx.request(method, guarded.url + path, headers=headers, json={}, timeout=30)
        assert done.status_code == 401
    done = httpx.request(method, guarded.url + path, headers=basic(LOGIN), json={}, timeout=30)
    assert done.status_code != 401


def test_what_stays_open_is_what_the_page_says(guarded: Guarded) -> None:
    for path in ("/api/health", "/api/ready", "/", "/docs", "/openapi.json", "/ui-settings"):
        found = httpx.get(guarded.room.where.ui + path, follow_redirects=True, timeout=30)
        assert found.status_code == 200, path
    assert lets_in(f"{guarded.url}/logs/out", LOGIN)
    assert not lets_in(f"{guarded.url}/logs/out", "runbooks:wrong")


def test_a_run_is_registered_ordered_carried_and_approved_behind_the_login(
    guarded: Guarded,
) -> None:
    made = Cluster(
        name=CLUSTER,
        nodes=(Node(name=f"{CLUSTER}-1", host=Host(name="here")),),
        backups=Backups(store="folder"),
    )
    folder = FolderStore(path=str(guarded.room.state / "store"))
    store = StoreSettings(name="folder", location=folder)
    with guarded.entered():
        save(Inventory(stores=(store,), clusters=(made,)))
        register("Europe/Berlin", ("tests.prefect.procedures",), [CLUSTER])
        run = order("touch", CLUSTER, {"dry_run": False})
        asks = follow(run, lambda _: None, timeout=180)
        assert asks.waiting, asks
        pending = json.loads(guarded.command("pending", "--json").stdout)
        assert [one["run"] for one in pending] == [str(run)]
        read = ("--plan", pending[0]["plan_digest"])
        answer = ("--as", "Ada", "--confirm", CLUSTER, *read, "--follow")
        done = guarded.command("approve", str(run)[:8], *answer)
        assert done.returncode == 0, done.stdout + done.stderr
        assert standing(run).completed
    assert world_of(guarded.room, CLUSTER) == {"first", "second", "third"}
    again = guarded.command("register")
    assert f"deployment base-backup/{CLUSTER}: created" in again.stdout, again.stderr


def test_a_missing_and_a_wrong_login_are_told_apart_from_a_server_that_is_down(
    guarded: Guarded,
) -> None:
    for login, given in (("", "none"), ("runbooks:wrong", "the one that is set here")):
        done = guarded.command("pending", login=login)
        assert done.returncode == 1
        assert f"the Prefect server at {guarded.url} does not let us in" in done.stderr
        assert f"PREFECT_API_AUTH_STRING: {given}" in done.stderr
        assert "deployments/access.md" in done.stderr
        assert "Traceback" not in done.stderr
        assert "wrong" not in done.stderr


@pytest.mark.parametrize("ours", ["", "runbooks:another"])
def test_up_starts_no_server_that_would_not_let_its_own_worker_in(
    tmp_path: Path, ours: str
) -> None:
    settings = {"PREFECT_SERVER_API_AUTH_STRING": LOGIN, "PG_RUNBOOKS_STATE": str(tmp_path)}
    if ours:
        settings["PREFECT_API_AUTH_STRING"] = ours
    done = command("up", "--port", str(free_port()), HOME=str(tmp_path), **settings)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "a login that worker, runs and command line do not have" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert not (tmp_path / "children").exists()


def test_the_login_is_in_no_argument_and_no_log(guarded: Guarded) -> None:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert PASSWORD not in process.read_bytes().decode(errors="replace"), process
        except (FileNotFoundError, ProcessLookupError):
            continue
    logs = [guarded.room.log, *(guarded.room.state / "children").glob("*.log")]
    assert len(logs) == 3
    assert not [log for log in logs if PASSWORD in log.read_text()]


def test_a_closed_api_is_found_closed(guarded: Guarded) -> None:
    (found,) = _access(guarded.command("check", "--json"))
    assert (found["ok"], found["gravity"]) == (True, "")
    assert found["what"] == "the Prefect API asks for a login"
    assert f"{guarded.url}: HTTP 401" in str(found["seen"])
    text = guarded.room.log.read_text()
    assert "WARNING" not in text
    assert "NOTE" not in text


def test_an_open_api_on_loopback_is_noted(room: Room) -> None:
    seen = openness(room.where.api)
    assert (seen.gravity, seen.beyond, seen.here) == ("note", (), (room.where.api,))
    assert "NOTE: the Prefect API asks nobody for a login: every user of this machine" in (
        room.log.read_text()
    )


def test_an_open_api_that_the_network_reaches_is_a_warning(tmp_path: Path) -> None:
    """Ask in a network namespace of its own, because the tests listen on loopback only."""
    port, log = free_port(), tmp_path / "up.log"
    settings = {"PG_RUNBOOKS_STATE": str(tmp_path / "state"), "HOME": str(tmp_path)}
    with log.open("wb") as output:
        apart = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
        up = subprocess.Popen(
            [*apart, *COMMAND, "up", "--host", "0.0.0.0", "--port", str(port)],
            env=environment(settings),
            cwd="/",
            stdout=output,
            stderr=output,
        )
    try:
        until(lambda: "worker: pool" in log.read_text() or up.poll() is not None, 180)
        api = f"http://0.0.0.0:{port}/api"
        assert f"WARNING: the Prefect API at {api} asks nobody for a login" in log.read_text()
        asked = {**settings, "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
        inside = ("nsenter", "--target", str(up.pid), "--net")
        shown = _run(*inside, *COMMAND, "check", settings=asked)
        assert "WARNING access: the Prefect API at" in shown.stdout, shown.stdout + shown.stderr
        assert "HINT: Let it listen on 127.0.0.1 only, or give it a login" in shown.stdout
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(60)


def test_a_server_that_is_down_is_no_open_one() -> None:
    began = time.monotonic()
    seen = openness("http://127.0.0.1:9/api")
    assert (seen.gravity, seen.beyond, seen.here) == ("note", (), ())
    assert "could not be seen" in seen.message
    assert time.monotonic() - began < 30


def _access(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(done.stdout)
    return [one for one in found if one["where"] == "access"]


def _run(*argv: str, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        env=environment(settings),
        cwd="/",
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
