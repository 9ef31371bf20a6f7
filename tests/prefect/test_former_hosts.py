"""Which machines a runbook takes out of service for good."""

from __future__ import annotations

from deployments.cli.runbooks import load
from runbook.cluster import Backups, Cluster
from runbook.hosts import Host, Local
from runbook.orchestrator.former import FormerOrchestrator
from runbook.orchestrator.settings import Orchestrator
from runbook.postgres import Node

OLD = {
    "name": "old",
    "host": Host(name="old", way=Local()),
    "address": "10.0.0.5",
    "data_directory": "/data",
    "bin_directory": "/bin",
}


def test_the_old_orchestrator_is_left_by_a_restore_and_no_host_of_other_runs() -> None:
    node = Node(name="new", host=Host(name="new", way=Local()))
    former = FormerOrchestrator.model_validate(OLD)
    both = Cluster(
        name="orchestrator",
        nodes=(node,),
        backups=Backups(store="store"),
        orchestrator=Orchestrator(store="store", previous=former),
    )
    assert [host.name for host in both.hosts] == ["new"]
    assert load("orchestrator-restore").leaves(both) == (former,)
    assert load("orchestrator-backup").leaves(both) == ()
    alone = both.model_copy(update={"orchestrator": Orchestrator(store="store")})
    assert load("orchestrator-restore").leaves(alone) == ()
