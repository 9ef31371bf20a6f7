"""A worker whose server is elsewhere, and answers what it should not: its runs go on."""

from __future__ import annotations

import inspect
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prefect._internal import observers
from prefect.cli._worker_utils import _load_worker_class
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)
from prefect.utilities.services import critical_service_loop
from prefect.workers import base

from blocks.save import save
from deployments.children import Child, child
from deployments.orders import follow, order, standing
from deployments.register import register
from deployments.worker import SteadyWorker, look_for_ever
from runbook.cluster import Backups, Cluster
from runbook.hosts import Host
from runbook.inventory import Inventory, StoreSettings
from runbook.lock import holder_of
from runbook.postgres import Node
from runbook.stores import FolderStore
from tests.lab.servers import free_port
from tests.prefect.room import Room, until

pytestmark = pytest.mark.timeout(400)

LOGIN = "runbooks:ours"


@dataclass
class Elsewhere:
    """A Prefect server that no launcher of ours has started."""

    room: Room

    def __post_init__(self) -> None:
        self._stack = ExitStack()
        self._server: Child | None = None

    def start(self, login: str) -> None:
        """Start it with a login that it asks for."""
        argv = ("prefect", "server", "start", "--host", "127.0.0.1", "--port")
        own = {"PREFECT_SERVER_API_AUTH_STRING": login, "PREFECT_API_AUTH_STRING": login}
        environment = {**self.room.where.environment(), **own}
        folder = self.room.state / "elsewhere"
        port = str(self.room.where.port)
        self._server = self._stack.enter_context(
            child("server", (*argv, port), environment, folder, 20)
        )
        until(self._answers, 120, self._server.log.read_text)

    def kill(self) -> None:
        """Kill -9 it."""
        assert self._server is not None
        os.kill(self._server.process.pid, signal.SIGKILL)
        self._server.process.wait()

    def close(self) -> None:
        """End what runs of it."""
        self._stack.close()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.room.where.api}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    state = tmp_path_factory.mktemp("state")
    room = Room(state, free_port(), {"PREFECT_API_AUTH_STRING": LOGIN}, joins=True)
    made = Elsewhere(room)
    settings = {
        PREFECT_API_URL: room.where.api,
        PREFECT_API_AUTH_STRING: LOGIN,
        PREFECT_HOME: state / "prefect",
        PREFECT_LOGGING_TO_API_ENABLED: False,
    }
    with pytest.MonkeyPatch.context() as patch, temporary_settings(settings):
        patch.setenv("PG_RUNBOOKS_STATE", str(state))
        try:
            made.start(LOGIN)
            room.start()
            yield made
        finally:
            room.close()
            made.close()


@pytest.fixture
def shop(elsewhere: Elsewhere) -> str:
    """Save a cluster, and deploy for it."""
    node = Node(name="shop-1", host=Host(name="here"))
    made = Cluster(name="shop", nodes=(node,), backups=Backups(store="folder"))
    folder = FolderStore(path=str(elsewhere.room.state / "store"))
    save(Inventory(stores=(StoreSettings(name="folder", location=folder),), clusters=(made,)))
    register("Europe/Berlin", ("tests.prefect.procedures",), ["shop"])
    return "shop"


def test_a_server_that_comes_back_with_another_login_ends_no_run(
    elsewhere: Elsewhere, shop: str
) -> None:
    room, slow = elsewhere.room, _slow(elsewhere.room, shop)
    run = order("tick", shop, {"dry_run": False})
    until(lambda: bool(holder_of(room.state / "locks", shop)), 120, lambda: str(standing(run)))
    worker = room.pid("worker")
    elsewhere.kill()
    elsewhere.start("runbooks:another")
    log = room.state / "children" / "worker.log"
    until(lambda: "401" in log.read_text(), 120, log.read_text)
    elsewhere.kill()
    elsewhere.start(LOGIN)
    slow.unlink()
    end = follow(run, lambda _: None, timeout=120)
    assert end.completed, (end, log.read_text(), room.log.read_text())
    assert room.pid("worker") == worker
    assert follow(order("tick", shop, {"dry_run": False}), lambda _: None, timeout=120).completed


def test_a_worker_that_was_killed_is_started_again_beside_its_runs(
    elsewhere: Elsewhere, shop: str
) -> None:
    """Twice: the second time it rests for a minute, because a run goes on."""
    room, slow = elsewhere.room, _slow(elsewhere.room, shop)
    run = order("tick", shop, {"dry_run": False})
    until(lambda: bool(holder_of(room.state / "locks", shop)), 120, lambda: str(standing(run)))
    before = room.pid("worker")
    os.kill(before, signal.SIGKILL)
    until(lambda: room.pid("worker") != before, 30, room.log.read_text)
    assert "the worker has ended by itself and is started again" in room.log.read_text()
    again = room.pid("worker")
    os.kill(again, signal.SIGKILL)
    until(lambda: room.pid("worker") != again, 100, room.log.read_text)
    assert "Runs go on meanwhile, and it is started again in 60 s" in room.log.read_text()
    slow.unlink()
    end = follow(run, lambda _: None, timeout=120)
    assert end.completed, (end, room.log.read_text())
    assert follow(order("tick", shop, {"dry_run": False}), lambda _: None, timeout=120).completed
    assert room.pid("worker") not in {before, again}


def _slow(room: Room, cluster: str) -> Path:
    """Make the runs of `tick` wait while this file is there."""
    made = room.state / "world" / cluster / "ticks.slow"
    made.parent.mkdir(parents=True, exist_ok=True)
    made.touch()
    return made


def test_what_is_put_in_the_place_of_prefects_own_is_there_and_fits() -> None:
    """Another Prefect may call them otherwise: then this worker would be Prefect's again."""
    assert _load_worker_class("process") is SteadyWorker
    for module in (base, observers):
        assert vars(module)["critical_service_loop"] is critical_service_loop
    called = inspect.signature(critical_service_loop).parameters
    assert {"workload", "interval", "run_once"} <= set(called)
    inspect.signature(look_for_ever).bind(**dict.fromkeys(called, 1))
    for name in ("_submit_run", "_cancel_run"):
        ours, theirs = (getattr(one, name) for one in (SteadyWorker, base.BaseWorker))
        assert list(inspect.signature(ours).parameters) == list(
            inspect.signature(theirs).parameters
        )
        assert ours is not theirs
