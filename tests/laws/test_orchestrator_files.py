"""What orchestrator-backup touches and what not: backups that remain, folders that are not ours."""

from __future__ import annotations

import shutil

import pytest

from tests.lab.loopback import LoopbackLab
from tests.laws import orchestrator_scene
from tests.laws.backup_scene import give_to_postgres
from tests.laws.orchestrator_scene import Scene

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Scene:
    """Build the Orchestrator once."""
    return orchestrator_scene.build(loopback_lab, "orcf")


@pytest.fixture
def scene(built: Scene) -> Scene:
    """Give the Orchestrator with default settings and no backups."""
    built.empty()
    return built


def test_the_newest_remain_and_a_cut_one_does_not_count(scene: Scene) -> None:
    scene.orchestrator = {"keep": 2}
    first, second = scene.back_up(), scene.back_up()
    archive = scene.archive(second)
    archive.write_bytes(archive.read_bytes()[:-100])
    third = scene.back_up(way="manual")
    assert scene.ids() == [first, second, third]
    told = scene.run(dry_run=True).told
    assert f"backup {first} is gone" in told
    assert f"backup {third}" not in told
    fourth = scene.back_up()
    assert scene.ids() == [third, fourth]


def test_nights_of_a_new_machine_do_not_push_out_the_backups_of_a_lost_one(scene: Scene) -> None:
    scene.orchestrator = {"keep": 1}
    lost = scene.back_up()
    record = scene.archive(lost).with_name("orchestrator.json")
    ours = scene.record(lost)["system_identifier"]
    record.write_text(record.read_text().replace(str(ours), "7000000000000000001"))
    twin = scene.back_up()
    record = scene.archive(twin).with_name("orchestrator.json")
    record.write_text(record.read_text().replace(f'"node": "{scene.node.name}"', '"node": "lost"'))
    newer = scene.back_up()
    plan = scene.run(dry_run=True).plan
    assert plan is not None
    assert "of another machine" in plan.markdown()
    newest = scene.back_up()
    assert scene.ids() == [lost, twin, newest], "VMs of one image have the same identifier"
    assert newer not in scene.ids()


def test_a_folder_of_somebody_else_in_ours_stays(scene: Scene) -> None:
    theirs = scene.work / "run-2.6.3-upgrade"
    theirs.mkdir(parents=True)
    (theirs / "notes").write_text("mine")
    give_to_postgres(scene.work)
    killed = scene.work / "pg-runbooks-run-0123"
    killed.mkdir()
    scene.back_up()
    assert (theirs / "notes").read_text() == "mine"
    assert not killed.exists()


def test_a_configuration_of_another_name_is_found_in_a_manual_backup(scene: Scene) -> None:
    other = scene.home / "platform.conf"
    shutil.copy2(scene.config, other)
    give_to_postgres(other)
    scene.orchestrator = {"config": str(other)}
    made = scene.back_up(way="manual")
    assert scene.record(made)["configuration"] == "platform.conf"
