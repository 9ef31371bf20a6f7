"""A platform's night and those of its parts: nothing is backed up twice, and nothing not at all."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from prefect.states import Cancelled, Running

from blocks.cluster import PostgresCluster
from blocks.load import load_cluster
from blocks.save import save
from deployments.register import register
from deployments.settings import POOL
from flows._missed_nights import NIGHTLY
from runbook.inventory import Inventory
from runbook.platform.settings import Platform
from tests.prefect import parts
from tests.prefect.conftest import ClusterMaker, Here
from tests.prefect.nights import due, fall_due, no_worker
from tests.prefect.room import Room

PACKAGES = ("tests.prefect.parts",)


class Nights:
    """A platform of many clusters, each with one night that is due, and no worker."""

    def __init__(self, room: Room, client: SyncPrefectClient, head: str) -> None:
        self.room, self.client, self.head = room, client, head
        self.here = Here(client, parts.whole, head)
        self.members: tuple[str, ...] = ()

    def fall_due(self, *members: str) -> None:
        """Save the clusters, and let one night of each be due, and one that a person has added."""
        self.members = members
        head = load_cluster(self.head)
        made = (head.model_copy(update={"name": self.name(each)}) for each in members)
        save(Inventory(clusters=tuple(made)))
        register("UTC", PACKAGES, [self.head, *map(self.name, members)])
        fall_due(self.client, list(map(self.deployment, ("", *members))), NIGHTLY, "mine")

    def name(self, member: str) -> str:
        """Give the name of a cluster."""
        return f"{self.head}-{member}" if member else self.head

    def names(self, *members: str) -> None:
        """Let the head's settings name other clusters."""
        platform = Platform(clusters=tuple(map(self.name, members)))
        made = load_cluster(self.head).model_copy(update={"platform": platform})
        save(Inventory(clusters=(made,)))

    def night(self, member: str, slug: str = NIGHTLY) -> tuple[str | None, str]:
        """Walk through the night of a cluster and tell how it ended."""
        first, *_ = due(self.client, self.deployment(member), slug)
        run_flow(parts.tock, flow_run=first, return_type="state")
        run = self.client.read_flow_run(first.id)
        return run.state_name, (run.state.message if run.state else "") or ""

    def whole(self, **parameters: bool) -> FlowRun:
        """Back the platform up, as a person orders it."""
        run = self.here.create(**parameters)
        self.here.go(run)
        return self.client.read_flow_run(run)

    def lines(self, member: str) -> int:
        """Count what was done of a cluster."""
        path = self.room.state / "world" / self.name(member) / "tocks"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def breaks(self, member: str) -> Callable[[], None]:
        """Let the part of a cluster fail, and give what mends it."""
        path = self.room.state / "world" / self.name(member) / "broken"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path.unlink

    def deployment(self, member: str) -> UUID:
        """Give the deployment of the part."""
        return self.client.read_deployment_by_name(f"tock/{self.name(member)}").id


@pytest.fixture
def nights(room: Room, client: SyncPrefectClient, cluster: ClusterMaker) -> Iterator[Nights]:
    """Give the platform; no worker ever comes to its nights."""
    made = Nights(room, client, cluster())
    with no_worker(client):
        yield made
        for member in ("", *made.members):
            client.delete_deployment(made.deployment(member))
    for member in made.members:
        PostgresCluster.delete(made.name(member), _sync=True)  # type: ignore[call-arg]


def test_a_night_is_skipped_only_where_a_platform_has_just_done_its_part(nights: Nights) -> None:
    nights.fall_due("done", "broken", "old", "outside", "waits")
    nights.names("done", "broken", "old", "nowhere")
    assert nights.whole(dry_run=True).state_name == "Planned"
    assert nights.night("")[0] == "Completed"
    assert nights.lines("") == 1

    mend = nights.breaks("broken")
    platform = nights.whole()
    assert platform.state is not None
    assert "3 of 5 parts are whole" in str(platform.state.message)
    assert f"settings of {nights.name('nowhere')}" in str(platform.state.message)
    nights.names("broken", "outside")
    state, told = nights.night("done")
    assert (state, nights.lines("done")) == ("Skipped", 1), told
    assert str(platform.id) in told
    mend()
    for member in ("broken", "outside"):
        assert nights.night(member)[0] == "Completed"
        assert nights.lines(member) == 1

    assert nights.night("done", slug="mine")[0] == "Completed"
    ordered = Here(nights.client, parts.tock, nights.name("done"))
    assert ordered.go(ordered.create()).name == "Completed"
    assert nights.lines("done") == 3

    then = (datetime.now(UTC) - timedelta(hours=21)).isoformat()
    label = f"pg-runbooks.whole.tock.{nights.name('old')}"
    nights.client.update_flow_run_labels(platform.id, {label: then})
    run = nights.here.create()
    nights.client.set_flow_run_state(run, Running(), force=True)
    assert nights.night("old")[0] == "Completed"
    nights.names("waits")
    state, told = nights.night("waits")
    assert (state, nights.lines("waits")) == ("Skipped", 0), told
    assert f"({run}) is backing this up" in told


def test_a_platform_that_died_or_has_failed_a_part_takes_no_night_away(nights: Nights) -> None:
    members = ("dead", "lives", "gone", "failed")
    nights.fall_due(*members)
    nights.names(*members)
    client, run, worker = nights.client, nights.here.create(), "pg-runbooks elsewhere"
    client.set_flow_run_state(run, Running(), force=True)
    client.update_flow_run(run, infrastructure_pid="elsewhere:4711")
    carried = {"prefect.worker.name": worker, "prefect.work-pool.name": POOL}
    client.update_flow_run_labels(run, carried)
    assert nights.night("dead")[0] == "Completed"
    client.send_worker_heartbeat(POOL, worker, 30)
    state, told = nights.night("lives")
    assert (state, nights.lines("lives")) == ("Skipped", 0), told
    assert f"({run}) is backing this up" in told
    client.update_flow_run(run, infrastructure_pid=f"{socket.gethostname()}:{os.getpid()}")
    assert nights.night("gone")[0] == "Completed"
    client.set_flow_run_state(run, Cancelled(), force=True)

    mend = nights.breaks("failed")
    platform = nights.whole()
    client.set_flow_run_state(platform.id, Running(), force=True)
    mend()
    assert nights.night("failed")[0] == "Completed"
    assert nights.lines("failed") == 1
