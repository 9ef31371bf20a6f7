"""The findings of a health check as one table in the UI."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from pydantic import SecretStr

from blocks.cluster import PostgresCluster
from blocks.save import save
from flows.operations.health_check import health_check
from runbook.cluster import Backups, Cluster
from runbook.health.check import HttpCheck
from runbook.hosts import Host
from runbook.inventory import Inventory
from runbook.postgres import Node
from tests.contract.health.portal import PASSWORD, USER, Portal, served
from tests.prefect.conftest import Here
from tests.prefect.room import Room

NAME = "health-in-the-ui"


@pytest.fixture
def ill(room: Room) -> Iterator[Portal]:
    """Save a cluster whose server is down, and whose portal lets nobody in."""
    with served(Portal()) as portal:
        login = HttpCheck.model_validate(
            {
                "name": "portal login",
                "url": f"{portal.url}/basic",
                "auth": {"kind": "basic", "user": USER, "password": "{secret:portal}"},
                "within": 0,
            }
        )
        made = Cluster(
            name=NAME,
            nodes=(Node(name="down", host=Host(name="here"), port=1),),
            backups=Backups(store="folder"),
            health=(login,),
            health_secrets={"portal": SecretStr(PASSWORD)},
        )
        save(Inventory(clusters=(made,)))
        yield portal
        PostgresCluster.delete(NAME, _sync=True)  # type: ignore[call-arg]


def test_all_findings_stand_in_one_table_also_when_the_run_fails(
    client: SyncPrefectClient, ill: Portal
) -> None:
    here = Here(client, health_check, NAME)
    run = here.create(dry_run=True)
    state = here.go(run)
    assert state.is_failed()
    assert "down: server: no answer" in str(state.message)
    (page,) = client.read_artifacts(
        artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
    )
    assert page.key == f"health-check-{NAME}-result"
    text = str(page.data)
    assert text.count("| level | where | what | seen | hint |") == 1
    assert text.index("✗ CRITICAL | down | server |") < text.index("✓ OK | HTTP | portal login |")
    assert "MARKER" not in text
    assert "MARKER" not in str(state.message)
    assert "failed" in client.read_flow_run(run).tags
    ill.broken = {"GET /basic": (401, 1)}
    here.go(again := here.create(dry_run=False))
    (page,) = client.read_artifacts(
        artifact_filter=ArtifactFilter(
            flow_run_id=ArtifactFilterFlowRunId(any_=[again]), key={"like_": "%result"}
        )
    )
    assert "✗ CRITICAL | HTTP | portal login |" in str(page.data)
