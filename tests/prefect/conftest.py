"""One real control room for all tests of this folder, and a way to run flows in this process."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)

from blocks.cluster import PostgresCluster
from blocks.save import save
from deployments.register import register
from deployments.settings import POOL
from runbook.approvers.policy import ApprovalPolicy
from runbook.cluster import Approval, Backups, Cluster
from runbook.hosts import Host
from runbook.inventory import Inventory, StoreSettings
from runbook.postgres import Node
from runbook.stores import FolderStore
from tests.prefect import procedures
from tests.prefect.room import Room

ClusterMaker = Callable[..., str]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """Start launcher, server and worker on a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    made = Room(tmp_path_factory.mktemp("state"), port)
    before = os.environ.get("PG_RUNBOOKS_STATE")
    os.environ["PG_RUNBOOKS_STATE"] = str(made.state)
    settings = {
        PREFECT_API_URL: made.where.api,
        PREFECT_HOME: made.state / "prefect",
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        PREFECT_LOGGING_TO_API_ENABLED: False,
    }
    try:
        made.start()
        with temporary_settings(settings):
            yield made
    finally:
        made.close()
        os.environ.pop("PG_RUNBOOKS_STATE")
        if before is not None:
            os.environ["PG_RUNBOOKS_STATE"] = before


@pytest.fixture(scope="module")
def client(room: Room) -> Iterator[SyncPrefectClient]:
    """Give Prefect's own client."""
    with get_client(sync_client=True) as made:
        yield made


@pytest.fixture
def cluster(room: Room, request: pytest.FixtureRequest) -> Iterator[ClusterMaker]:
    """Give a function that saves a cluster with a name of its own."""

    def make(
        deadline: timedelta = timedelta(hours=1),
        without: tuple[str, ...] = (),
        policy: ApprovalPolicy | None = None,
    ) -> str:
        name = request.node.name.replace("_", "-").split("[")[0][5:40].strip("-")
        made = Cluster(
            name=name,
            nodes=(Node(name=f"{name}-1", host=Host(name="here")),),
            backups=Backups(store="folder"),
            approval=Approval(
                policy=policy.name if policy else "", deadline=deadline, without=without
            ),
        )
        store = StoreSettings(name="folder", location=FolderStore(path=str(room.state / "store")))
        policies = (policy,) if policy else ()
        save(Inventory(stores=(store,), policies=policies, clusters=(made,)))
        saved.append(name)
        return name

    saved: list[str] = []
    yield make
    for name in saved:
        PostgresCluster.delete(name, _sync=True)  # type: ignore[call-arg]


@pytest.fixture
def deployed(cluster: ClusterMaker) -> str:
    """Give a saved cluster with a deployment for each procedure."""
    name = cluster()
    register("Europe/Berlin", ("tests.prefect.procedures",), [name])
    return name


class Here:
    """Runs of a flow whose processes are this one, through a deployment that no worker polls."""

    def __init__(self, client: SyncPrefectClient, flow: Flow[..., object], cluster: str) -> None:
        self.client, self.flow, self.cluster = client, flow, cluster
        deployment = client.create_deployment(
            client.create_flow_from_name(flow.name),
            f"here-{cluster}",
            tags=[POOL],
            entrypoint="tests.prefect.procedures:touch",
        )
        self.deployment: UUID = deployment

    def create(self, *, dry_run: bool = False, **parameters: str | int) -> UUID:
        """Create a run."""
        return self.client.create_flow_run_from_deployment(
            self.deployment,
            parameters={"cluster": self.cluster, "dry_run": dry_run, **parameters},
        ).id

    def go(self, run: UUID) -> State[object]:
        """Walk until the run ends or waits, and give its state on the server."""
        assert FlowRunContext.get() is None
        with contextlib.suppress(Pause):
            run_flow(self.flow, flow_run=self.client.read_flow_run(run), return_type="state")
        state = self.client.read_flow_run(run).state
        assert state is not None
        return state


@pytest.fixture
def touch(client: SyncPrefectClient, cluster: ClusterMaker) -> Here:
    """Give runs of the procedure that asks once."""
    return Here(client, procedures.touch, cluster())


def approves(client: SyncPrefectClient, run: UUID) -> str:
    """Give what the form of a waiting run offers for an approval, as a browser reads it."""
    state = client.read_flow_run(run).state
    assert state is not None
    keys = state.state_details.run_input_keyset or {}
    (found,) = client.filter_flow_run_input(run, keys["schema"], limit=2, exclude_keys=set())
    approval, refusal = json.loads(found.value)["properties"]["decision"]["enum"]
    assert refusal == "refuse"
    return str(approval)


def at_the_command_line(room: Room, *words: str) -> subprocess.CompletedProcess[str]:
    """Give a command from a shell of its own, where nobody can type."""
    argv = (sys.executable, "-m", "deployments.cli", *words)
    environment = {**os.environ, "PREFECT_API_URL": room.where.api}
    return subprocess.run(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def world_of(room: Room, cluster: str) -> set[str]:
    """List what has been done to a cluster."""
    folder: Path = room.state / "world" / cluster
    return {path.name for path in folder.iterdir()} if folder.exists() else set()
