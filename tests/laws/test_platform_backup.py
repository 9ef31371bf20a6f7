"""The laws of platform-backup: every part by itself, whole or named, in one record."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runbook.audit.history import past_runs
from tests.lab.loopback import LoopbackLab
from tests.laws import platform_scene
from tests.laws.component_scene import DATABASES, READING
from tests.laws.outcome import Outcome, Point
from tests.laws.platform_scene import RUN, Scene

pytestmark = pytest.mark.lab
ONCE = (1, 1, 1, 1, 2, 1, 1)
"""A dump of each database, a backup, a commit of policy and one of files, an export of each."""


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Scene:
    """Build the platform once."""
    return platform_scene.build(loopback_lab)


@pytest.fixture
def scene(built: Scene) -> Iterator[Scene]:
    """Give a platform of which nothing is backed up."""
    built.begin()
    yield built
    built.settled()


def parts(outcome: Outcome) -> dict[str, dict[str, object]]:
    """Give the last word on every part."""
    return {str(entry["runbook"]): entry for entry in outcome.record if entry["event"] == "part"}


@contextmanager
def held(scene: Scene, cluster: str) -> Iterator[None]:
    """Be another run that is at work on a cluster."""
    locks = scene.head.base / "state" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(locks / f"{cluster}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def test_a_dry_run_changes_nothing_and_shows_every_part(
    scene: Scene, loopback_lab: LoopbackLab
) -> None:
    before = scene.files()
    with (
        loopback_lab.unchanged(scene.group.first, scripts=READING),
        loopback_lab.unchanged(scene.head.node, scripts=READING),
    ):
        outcome = scene.done(dry_run=True)
    assert scene.files() == before
    assert scene.counts() == (0,) * len(ONCE)
    assert outcome.plan is not None
    page = outcome.plan.markdown()
    group, head = scene.group.name, scene.name
    assert f"### 2.1. component-backup of {group}" in page
    assert "### 2.1.4. Dump every component database" in page
    for line in (*(f"-d {name}" for name in DATABASES), "backup --config", "apc job export guide"):
        assert line in page
    assert f"component-backup of {group}: primary" in page
    assert f"orchestrator-backup of {head}: " in page
    assert outcome.plan.changes == 2 * len(DATABASES) + 3 + 2 + 2 * 2


def test_every_part_is_whole_and_the_record_can_be_checked_by_hand(scene: Scene) -> None:
    outcome = scene.done(run_id=RUN)
    assert scene.counts() == ONCE
    assert scene.unfinished() == []
    found = parts(outcome)
    assert {str(part["outcome"]) for part in found.values()} == {"whole"}
    assert len(found) == 6
    contents = {hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in scene.files()}
    contents |= {hashlib.sha256(text.encode()).hexdigest() for text in scene.client.kept().values()}
    for name, part in found.items():
        objects = part["objects"]
        assert isinstance(objects, list)
        assert {item["sha256"] for item in objects} <= contents, name
        lines = "".join(f"{item['sha256']}  {item['name']}\n" for item in objects)
        one = objects[0]["sha256"] if len(objects) == 1 else ""
        assert part["sha256"] == (one or hashlib.sha256(lines.encode()).hexdigest())
        assert part["verified"]
    made = scene.group.ids()[0]
    assert f"auditlog-{made}" in str(found["component-backup"]["what"])
    again = scene.done(run_id=RUN)
    assert (again.changed, scene.counts()) == (0, ONCE)


def test_a_part_that_fails_is_named_stops_no_other_and_is_all_that_is_done_again(
    scene: Scene,
) -> None:
    scene.head.behaves("echo 'no space left on device' >&2; exit 1")
    outcome = scene.run(run_id=RUN)
    assert outcome.ended == "GoalNotReached"
    first, *_ = outcome.said.splitlines()
    assert f"5 of 6 parts are whole; failed: orchestrator-backup of {scene.name}" in first
    assert "no space left on device" in outcome.said
    assert scene.counts() == (1, 1, 1, 0, 2, 1, 1)
    assert parts(outcome)["orchestrator-backup"]["outcome"] == "failed"
    (run,) = past_runs(scene.head.base / "state" / "audit")
    assert run.backup is not None
    assert (run.outcome, run.backup.role) == ("failed", "taken in part")
    before = scene.files()
    scene.head.orchestrator = {}
    again = scene.done(run_id=RUN)
    assert scene.counts() == ONCE
    assert scene.files().items() >= before.items()
    assert {str(part["outcome"]) for part in parts(again).values()} == {"whole"}
    (run,) = past_runs(scene.head.base / "state" / "audit")
    assert run.backup is not None
    assert (run.outcome, run.backup.role, run.backup.id) == ("completed", "taken", "6 of 6 parts")


def test_a_part_that_cannot_be_planned_is_in_the_plan_and_none_at_all_ends_it(
    scene: Scene,
) -> None:
    scene.without = ("exports.jobs",)
    scene.head.orchestrator = {"config": "/nowhere/cluster.conf"}
    planned = scene.done(dry_run=True)
    assert planned.plan is not None
    facts = {fact.name: fact.value for fact in planned.plan.facts}
    assert "can read" in facts[f"CANNOT BE DONE: orchestrator-backup of {scene.name}"]
    assert "job-export (no cluster of the platform has exports.jobs)" in str(facts.values())
    assert "component-backup of" in facts["parts"]
    scene.without, scene.platform = ("exports", "orchestrator"), {}
    nothing = scene.run()
    assert nothing.ended == "SettingsError"
    assert "has nothing that platform-backup backs up" in nothing.said
    assert scene.counts() == (0,) * len(ONCE)


def test_a_cluster_that_another_run_holds_fails_its_parts_alone(scene: Scene) -> None:
    with held(scene, scene.name):
        outcome = scene.run(run_id=RUN)
    assert "1 of 6 parts are whole" in outcome.said
    assert f"failed: orchestrator-backup of {scene.name}" in outcome.said
    assert "another run holds cluster" in outcome.said
    assert scene.counts() == (1, 1, 1, 0, 0, 0, 0)
    with held(scene, scene.group.name):
        again = scene.run(run_id=f"{int(RUN, 16) + 1:x}")
    assert f"failed: component-backup of {scene.group.name}" in again.said
    assert scene.counts() == ONCE


def test_a_platform_is_backed_up_by_one_run_at_a_time(scene: Scene) -> None:
    with held(scene, f"platform {scene.name}"):
        outcome = scene.run()
    assert outcome.ended == "Held"
    assert f"another run holds cluster platform {scene.name}" in outcome.said
    assert scene.counts() == (0,) * len(ONCE)


ENDS = (
    *(Point("2.1.4", action=2), Point("2"), Point("3.1.5", action=1), Point("4")),
    *(Point("6.1.2", action=2), Point("7"), Point("8")),
)


def test_a_run_that_is_killed_again_and_again_and_started_again_does_nothing_twice(
    scene: Scene,
) -> None:
    for point in ENDS:
        before = scene.records()
        assert scene.run(at=point, run_id=RUN).ended == "killed", point
        scene.settled()
        assert scene.records().items() >= before.items(), point
        assert all(made <= once for made, once in zip(scene.counts(), ONCE, strict=True)), point
    outcome = scene.done(run_id=RUN)
    assert scene.counts() == ONCE
    assert scene.unfinished() == []
    assert {str(part["outcome"]) for part in parts(outcome).values()} == {"whole"}


def test_a_cancelled_run_leaves_the_parts_that_are_whole_and_nothing_else(scene: Scene) -> None:
    point = Point("3.1.5", action=1, signal=signal.SIGTERM)
    outcome = scene.run(at=point, run_id=RUN)
    assert outcome.ended == "_Terminated"
    scene.settled()
    assert scene.counts() == (1, 1, 1, 0, 0, 0, 0)
    assert scene.unfinished() == []
    assert list(parts(outcome)) == ["component-backup"]
    (run,) = past_runs(scene.head.base / "state" / "audit")
    assert run.backup is None


def test_a_run_that_is_cancelled_at_work_on_another_cluster_leaves_it_clean_and_free(
    scene: Scene,
) -> None:
    point = Point("2.1.4", action=2, signal=signal.SIGTERM)
    outcome = scene.run(at=point, run_id=RUN)
    assert outcome.ended == "_Terminated"
    scene.settled()
    assert scene.unfinished() == []
    assert parts(outcome) == {}
    assert scene.group.run().completed
    scene.done(run_id=RUN)
    assert scene.unfinished() == []


def test_a_server_group_that_fails_keeps_no_other_from_its_dumps(scene: Scene) -> None:
    scene.platform = {"clusters": [scene.group.name, scene.second.name]}
    scene.group.components = {"lock_wait_seconds": 1}
    with scene.group.locked("events", "auditlog"):
        outcome = scene.run(run_id=RUN)
    assert outcome.ended == "GoalNotReached"
    assert f"failed: component-backup of {scene.group.name}" in outcome.said
    assert scene.counts() == (0, *ONCE[1:])
    (whole,) = scene.second.ids()
    assert [scene.second.ids(name) for name in DATABASES] == [[whole]] * 3
    scene.done(run_id=RUN)
    assert scene.counts() == ONCE
    assert scene.second.ids() == [whole]
    assert scene.unfinished() == []


def test_a_platform_names_only_clusters_that_there_are(scene: Scene) -> None:
    scene.platform = {"clusters": ["nowhere"]}
    assert "nowhere" in scene.run().said
    assert scene.counts() == (0,) * len(ONCE)
