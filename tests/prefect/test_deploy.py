"""`prefect deploy` with prefect.yaml, on the real server, and a worker that takes such a run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.utilities.callables import parameter_schema

from blocks.cluster import PostgresCluster
from blocks.save import save
from deployments.orders import follow, order
from deployments.prefect_yaml import PATH
from deployments.register import Plot, discover, flow_of, plots
from deployments.settings import POOL
from runbook.cluster import Backups, Cluster
from runbook.hosts import Host
from runbook.inventory import Inventory, StoreSettings
from runbook.postgres import Node
from runbook.stores import FolderStore
from tests.prefect.room import Room

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def wanted(
    room: Room, client: SyncPrefectClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Plot]]:
    """Deploy the file as its head says, for a saved cluster of that name."""
    node = Node(name="shop-1", host=Host(name="here"))
    store = StoreSettings(
        name="folder", location=FolderStore(path=str(tmp_path_factory.mktemp("store")))
    )
    save(
        Inventory(
            stores=(store,),
            clusters=(Cluster(name="shop", nodes=(node,), backups=Backups(store="folder")),),
        )
    )
    argv = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(
        [*argv, "--prefect-file", str(PATH)],
        env={**os.environ, **room.where.environment()},
        cwd=Path(PATH.anchor),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made = plots(["shop"], discover().values(), "UTC")
    yield made
    for plot in made:
        client.delete_deployment(client.read_deployment_by_name(plot.name).id)
    PostgresCluster.delete("shop", _sync=True)  # type: ignore[call-arg]


def test_every_entry_of_prefect_yaml_becomes_the_deployment_that_register_makes(
    client: SyncPrefectClient, wanted: list[Plot]
) -> None:
    assert wanted
    for plot in wanted:
        found = client.read_deployment_by_name(plot.name)
        schema = parameter_schema(flow_of(plot.entrypoint))
        assert found.parameter_openapi_schema["properties"] == schema.properties
        assert found.parameter_openapi_schema["required"] == schema.required
        assert found.enforce_parameter_schema
        assert (found.work_pool_name, found.pull_steps) == (POOL, [])
        assert found.global_concurrency_limit is None
        nights = [(one.slug, one.schedule.cron, one.parameters) for one in found.schedules]
        assert nights == [("nightly", plot.cron, {"dry_run": False})] * plot.scheduled


def test_a_worker_carries_a_run_of_such_a_deployment(wanted: list[Plot]) -> None:
    end = follow(order("prune", "shop", {}), lambda line: None, timeout=180)
    assert end.state == "Planned", end
