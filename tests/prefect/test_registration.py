"""Deployments: one for each runbook and cluster, left alone when nothing has changed."""

from __future__ import annotations

import json
import subprocess

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import (
    BlockDocumentUpdate,
    DeploymentScheduleCreate,
    DeploymentUpdate,
    WorkPoolUpdate,
)
from prefect.client.schemas.schedules import CronSchedule
from prefect.utilities.callables import parameter_schema

from blocks.cluster import PostgresCluster
from blocks.load import load_cluster
from blocks.save import save
from deployments.cli.finding import Finding
from deployments.cli.server_findings import server_findings
from deployments.prefect_yaml import PATH, example
from deployments.register import discover, flow_of, plots, register
from deployments.settings import POOL
from runbook.components.settings import ComponentBackups
from runbook.inventory import Inventory
from runbook.platform.settings import Platform
from tests.prefect.guarded import command
from tests.prefect.room import Room

PACKAGES = ("tests.prefect.procedures",)


def test_a_deployment_says_what_a_person_needs_to_know(
    client: SyncPrefectClient, deployed: str
) -> None:
    name = deployed
    tick = client.read_deployment_by_name(f"tick/{name}")
    touch = client.read_deployment_by_name(f"touch/{name}")
    assert tick.entrypoint == "tests.prefect.procedures:tick"
    assert touch.parameters == {"cluster": name}
    assert touch.tags == [POOL, "touch", f"cluster {name}"]
    assert "Touch three files" in str(touch.description)
    assert touch.parameter_openapi_schema["properties"]["dry_run"]["default"] is True
    assert touch.schedules == []
    assert (tick.work_pool_name, touch.work_pool_name) == (POOL, POOL)


def test_registering_again_leaves_a_switched_off_schedule_off(
    client: SyncPrefectClient, deployed: str
) -> None:
    name = deployed
    deployment = client.read_deployment_by_name(f"tick/{name}")
    client.update_deployment_schedule(deployment.id, deployment.schedules[0].id, active=False)
    verbs = {one.name: one.verb for one in register("Europe/Berlin", PACKAGES, [name])}
    assert verbs[f"tick/{name}"] == "unchanged"
    verbs = {one.name: one.verb for one in register("Europe/Rome", PACKAGES, [name])}
    assert verbs[f"tick/{name}"] == "updated"
    schedules = client.read_deployment_by_name(f"tick/{name}").schedules
    assert [(one.slug, one.active, one.schedule.timezone) for one in schedules] == [
        ("nightly", False, "Europe/Rome")
    ]


def test_no_deployment_has_a_limit_and_one_that_had_loses_it(
    client: SyncPrefectClient, deployed: str
) -> None:
    """A run under a limit holds a lease, and whoever loses it is ended wherever it stands."""
    name = deployed
    tick = client.read_deployment_by_name(f"tick/{name}")
    client.update_deployment_schedule(tick.id, tick.schedules[0].id, active=False)
    client.update_deployment(tick.id, DeploymentUpdate(concurrency_limit=1))
    verbs = {one.name: one.verb for one in register("Europe/Berlin", PACKAGES, [name])}
    assert {verbs[f"tick/{name}"], verbs[f"touch/{name}"]} == {"updated", "unchanged"}
    found = [client.read_deployment_by_name(f"{flow}/{name}") for flow in ("tick", "touch")]
    assert [one.global_concurrency_limit for one in found] == [None, None]
    assert [one.active for one in found[0].schedules] == [False]


def test_check_names_a_paused_pool_and_a_schedule_that_is_off(
    client: SyncPrefectClient, deployed: str
) -> None:
    register("Europe/Berlin", ("flows",), [deployed])
    pool, *rest = nights_told()
    assert (pool.what, pool.gravity) == (f"work pool {POOL} is not paused", "")
    assert not [one for one in rest if deployed in one.what]
    deployment = client.read_deployment_by_name(f"tick/{deployed}")
    schedule = deployment.schedules[0].id
    client.update_deployment_schedule(deployment.id, schedule, active=False)
    client.update_work_pool(POOL, WorkPoolUpdate(is_paused=True))
    try:
        paused, *rest = nights_told()
    finally:
        client.update_work_pool(POOL, WorkPoolUpdate(is_paused=False))
        client.update_deployment_schedule(deployment.id, schedule, active=True)
    (off,) = [one for one in rest if deployed in one.what]
    assert (paused.gravity, off.gravity) == ("warning", "warning")
    assert "is paused: no run begins" in paused.what
    assert f"the schedule of tick/{deployed} is off" in off.what
    assert f"schedule resume tick/{deployed} {schedule}" in off.hint


def test_check_tells_nights_that_are_gone_and_registering_again_makes_them(
    client: SyncPrefectClient, deployed: str
) -> None:
    missing = [one for one in nights_told() if deployed in one.what]
    assert {f"base-backup/{deployed} has no schedule: it does not run by itself"} <= {
        one.what for one in missing
    }
    assert {(one.gravity, one.hint) for one in missing} == {("warning", "pg-runbooks register")}

    register("Europe/Berlin", ("flows",), [deployed])
    assert not [one for one in nights_told() if deployed in one.what]
    backup = client.read_deployment_by_name(f"base-backup/{deployed}")
    own = DeploymentScheduleCreate(schedule=CronSchedule(cron="0 4 * * *"), active=True)
    client.create_deployment_schedules(backup.id, [own])
    client.delete_deployment_schedule(backup.id, backup.schedules[0].id)
    (note,) = [one for one in nights_told() if deployed in one.what]
    assert (note.gravity, "another schedule than nightly" in note.what) == ("note", True)

    (left,) = client.read_deployment_schedules(backup.id)
    client.delete_deployment_schedule(backup.id, left.id)
    assert [one.gravity for one in nights_told() if deployed in one.what] == ["warning"]
    made = {one.name: one.verb for one in register("Europe/Berlin", ("flows",), [deployed])}
    assert {name for name, verb in made.items() if verb != "unchanged"} == {
        f"base-backup/{deployed}"
    }
    assert nights(client, f"base-backup/{deployed}") == ["nightly"]


def test_check_finds_the_nights_on_a_server_with_many_flows_of_others(
    client: SyncPrefectClient, deployed: str
) -> None:
    register("Europe/Berlin", ("flows",), [deployed])
    for number in range(200):
        client.create_flow_from_name(f"a-flow-of-others-{number}")
    assert not [one for one in nights_told() if deployed in one.what]


def test_check_names_a_paused_queue(client: SyncPrefectClient) -> None:
    (queue,) = client.read_work_queues(work_pool_name=POOL)
    client.update_work_queue(queue.id, is_paused=True)
    try:
        told = [one for one in nights_told() if one.gravity == "warning"]
    finally:
        client.update_work_queue(queue.id, is_paused=False)
    assert f"work queue {queue.name} of pool {POOL} is paused: no run in it begins" in {
        one.what for one in told
    }


def nights_told() -> list[Finding]:
    """Give what `check` says of the server, but for its login."""
    return [finding for finding in server_findings() if finding.where == "nights"]


def test_a_cluster_whose_settings_cannot_be_used_keeps_no_other_from_its_nights(
    client: SyncPrefectClient, deployed: str, room: Room
) -> None:
    block = PostgresCluster.named(deployed)
    names = ("edited", "twice")
    for name in names:
        nodes = block.nodes * (2 if name == "twice" else 1)
        other = block.model_copy(update={"nodes": nodes})
        other.save(name, overwrite=True, _sync=True)  # type: ignore[call-arg]
    document = client.read_block_document_by_name("edited", "postgres-cluster")
    wrong = BlockDocumentUpdate(
        block_schema_id=document.block_schema_id, data={"nodes": "none"}, merge_existing_data=True
    )
    client.update_block_document(document.id, wrong)
    try:
        found = {one.name: one for one in register("Europe/Berlin", PACKAGES)}
        checked = room_command(room, "check", "--json")
        registered = room_command(room, "register")
    finally:
        for name in names:
            PostgresCluster.delete(name, _sync=True)  # type: ignore[call-arg]
    assert found[f"tick/{deployed}"].verb == "unchanged"
    for name in names:
        assert f"the settings of cluster '{name}' cannot be used" in str(found[name])
        assert f"HINT:   Correct the block postgres-cluster/{name}" in str(found[name])
        assert f"the deployments of cluster {name} are left as they are" in registered.stdout
        (line,) = [one for one in json.loads(checked.stdout) if one["cluster"] == name]
        assert (line["ok"], line["where"]) == (False, "settings")
    assert (registered.returncode, checked.returncode) == (1, 1)
    assert {one["cluster"] for one in json.loads(checked.stdout)} >= {deployed}


def room_command(room: Room, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pg-runbooks against the room to its end."""
    own = {
        "PREFECT_API_URL": room.where.api,
        "PREFECT_HOME": str(room.state / "prefect"),
        "PG_RUNBOOKS_STATE": str(room.state),
    }
    return command(*arguments, **own)


def test_every_runbook_is_found() -> None:
    found = discover()
    assert {"base-backup", "instance-restore"} <= set(found)
    assert found["base-backup"].scheduled


def test_a_single_instance_is_offered_what_its_settings_allow_and_keeps_what_it_had(
    client: SyncPrefectClient, deployed: str
) -> None:
    flows, name = ("flows.physical", "flows.replication", "flows.platform"), deployed
    offered = {one.name.partition("/")[0] for one in register("UTC", flows, [name])}
    assert {"base-backup", "instance-restore"} <= offered
    assert not {"promotion", "cluster-restore", "component-backup", "job-import"} & offered
    shop, groups = load_cluster(name), ComponentBackups(databases=("auditlog",))
    save(Inventory(clusters=(shop.model_copy(update={"components": groups}),)))
    made = {one.name: one.verb for one in register("UTC", flows, [name])}
    assert made[f"component-backup/{name}"] == "created"
    assert made[f"base-backup/{name}"] == "unchanged"
    assert nights(client, f"component-backup/{name}") == ["nightly"]
    save(Inventory(clusters=(shop,)))
    made = {one.name: one.verb for one in register("UTC", flows, [name])}
    assert made[f"component-backup/{name}"] == "updated"
    assert nights(client, f"component-backup/{name}") == []


def test_a_platform_takes_no_night_from_its_parts_and_a_switch_stays_as_it_is(
    client: SyncPrefectClient, deployed: str
) -> None:
    flows, name = ("flows.platform",), deployed
    shop, groups = load_cluster(name), ComponentBackups(databases=("auditlog",))
    alone = shop.model_copy(update={"components": groups})
    whole = alone.model_copy(update={"platform": Platform()})
    for settings, platform in ((alone, None), (whole, ["nightly"]), (alone, [])):
        save(Inventory(clusters=(settings,)))
        made = {one.name for one in register("UTC", flows, [name])}
        part = client.read_deployment_by_name(f"component-backup/{name}")
        assert [one.slug for one in part.schedules] == ["nightly"]
        assert (f"platform-backup/{name}" in made) is (platform is not None)
        if platform is None:
            client.update_deployment_schedule(part.id, part.schedules[0].id, active=False)
            continue
        assert nights(client, f"platform-backup/{name}") == platform
        assert [one.active for one in part.schedules] == [False]


def nights(client: SyncPrefectClient, deployment: str) -> list[str | None]:
    return [one.slug for one in client.read_deployment_by_name(deployment).schedules]


def test_what_needs_a_setting_has_no_nights_where_it_is_missing() -> None:
    found = discover()
    lacking = {plot.name: plot for plot in plots(["shop"], found.values(), "UTC")}
    having = {plot.name: plot for plot in plots(["shop"], found.values(), "UTC", has_logical)}
    assert not lacking["logical-backup/shop"].scheduled
    assert having["logical-backup/shop"].scheduled
    assert lacking["base-backup/shop"].scheduled
    assert having["base-backup/shop"].cron != having["logical-backup/shop"].cron


def has_logical(cluster: str, setting: str) -> bool:
    return (cluster, setting) == ("shop", "logical")


def test_the_night_of_a_platform_comes_before_those_of_its_parts() -> None:
    found = discover().values()
    (platform,) = [each for each in found if each.name == "platform-backup"]
    parts = [each for each in found if each.part_of == platform.name]
    assert len(parts) == 6
    assert all(each.scheduled and each.hour > platform.hour for each in parts)


def test_a_run_takes_what_its_form_gives() -> None:
    for plot in plots(["shop"], discover().values(), "UTC"):
        flow = flow_of(plot.entrypoint)
        fields = parameter_schema(flow).properties
        given = {name: about.get("default", "any") for name, about in fields.items()}
        assert flow.validate_parameters(given) == given


def test_the_form_of_a_choice_is_a_list_of_its_values() -> None:
    timeline = parameter_schema(flow_of("flows.physical.instance_restore:instance_restore"))
    assert timeline.properties["timeline"]["enum"] == ["fork", "keep"]


def test_prefect_yaml_says_what_register_does() -> None:
    assert PATH.read_text() == example(), "write it again: python -m deployments.prefect_yaml"
