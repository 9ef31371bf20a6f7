"""Calls to applications: part of the findings, cleaned up, and made when all is at rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbook import step
from runbook.approval import Nobody
from runbook.drive import Driver, Order
from runbook.errors import CheckFailed
from runbook.inventory import read_inventory
from runbook.watch import LogWatcher
from tasks.health import cluster_is_healthy
from tests.contract.health.portal import Portal, later, served
from tests.laws.health.findings import has, looked, wrong
from tests.laws.replication_scene import Scene

pytestmark = pytest.mark.lab


def key_value(portal: Portal) -> dict[str, Any]:
    """Declare a check that creates and deletes."""
    one = f"{portal.url}/kv/{{id}}"
    create = {
        "method": "POST",
        "url": f"{portal.url}/kv",
        "status": 201,
        "json_body": {"key": "{unique}"},
        "extract": {"id": {"path": "id"}},
    }
    delete = {"method": "DELETE", "url": one, "status": 204}
    return {
        "name": "key-value",
        "within": 0,
        "calls": [create, {"url": one}],
        "cleanup": [delete],
    }


def test_declared_calls_are_part_of_the_findings(scene: Scene) -> None:
    with served(Portal()) as portal:
        portal.broken = {"GET /": (503, 9), "GET /alarms": (500, 9)}
        scene.cluster_settings["health"] = [
            {"name": "portal", "url": f"{portal.url}/", "within": 0},
            {"name": "alarms", "url": f"{portal.url}/alarms", "within": 0, "level": "warning"},
        ]
        found = looked(scene)
    assert has(found, "CRITICAL: HTTP: portal: GET http://127.0.0.1")
    assert has(found, "WARNING: HTTP: alarms: ")


def test_a_call_that_changes_something_is_listed_by_a_dry_run_and_cleaned_up_by_a_run(
    scene: Scene,
) -> None:
    with served(Portal()) as portal:
        scene.cluster_settings["health"] = [key_value(portal)]
        dry = scene.run("health-check", dry_run=True)
        assert dry.completed, dry.said
        assert dry.plan is not None
        assert f"{portal.url}/kv" in dry.plan.markdown()
        assert dry.plan.changes == 1
        assert portal.requests == []

        done = scene.run("health-check")
        assert (done.ended, done.changed) == ("completed", 1), done.said
        assert [line.split("/")[0] for line in portal.requests] == ["POST ", "GET ", "DELETE "]
        assert portal.values == {}

        portal.broken = {"GET /kv/id4": (500, 9)}
        failed = scene.run("health-check")
        assert failed.ended == "CheckFailed"
        assert has(wrong(failed), "CRITICAL: HTTP: key-value: GET")
        assert portal.requests[-1] == "DELETE /kv/id4"
        assert portal.values == {}


def test_other_runbooks_end_with_it_and_wait_until_all_is_at_rest(
    scene: Scene, tmp_path: Path
) -> None:
    with served(Portal()) as portal:
        scene.cluster_settings["health"] = [key_value(portal)]
        cluster = read_inventory(scene.runner.inventory).cluster(scene.name)

        def proven(within: float) -> Order:
            def body() -> None:
                with step("1", "Prove it"):
                    cluster_is_healthy(cluster, within=within)

            return Order("other", cluster.name, {}, body, lambda: cluster.hosts)

        driver = Driver(tmp_path, Nobody(), LogWatcher())
        plan = driver.dry_run(proven(0)).plan
        assert {line.outcome for line in plan.lines} == {"open", "note"}
        done = driver.run(proven(0))
        assert done.changed == 0
        assert "not called" in str(done.plan)
        assert portal.requests == []
        standby = scene.nodes[1]
        standby.stop()
        with pytest.raises(CheckFailed, match="other step 1: cluster hca"):
            driver.run(proven(0))
        starting = later(0.5, standby.start)
        assert "CRITICAL" not in str(driver.run(proven(20)).memory["health"])
        starting.join()
