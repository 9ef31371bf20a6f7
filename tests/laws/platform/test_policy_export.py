"""The laws of policy-export: what the cluster says is in version control, whole and no more."""

from __future__ import annotations

import signal

import pytest

from tests.lab import processes
from tests.laws.outcome import Point
from tests.laws.platform.export_scene import AUTH, POLICY, Scene

pytestmark = pytest.mark.lab


def test_a_dry_run_changes_nothing_and_shows_the_commit(scene: Scene) -> None:
    outcome = scene.done("policy-export", dry_run=True)
    assert scene.commits() == 0
    assert scene.stored() == []
    assert list(scene.way.iterdir()) == []
    assert set(scene.platform.commands) == {"policy export"}
    assert outcome.plan is not None
    page = outcome.plan.markdown()
    assert "git commit -m" in page
    assert "new authSettings, jobs" in page
    assert outcome.plan.changes == 1


def test_every_document_is_committed_once_and_only_changes_follow(scene: Scene) -> None:
    scene.done("policy-export")
    assert scene.kept() == POLICY
    again = scene.done("policy-export")
    assert (again.changed, scene.commits()) == (0, 1)
    scene.platform.put("policy", "jobs.pol", "on job::/ {\n  { permit read }\n}\n")
    scene.platform.drop("policy", "authSettings.pol")
    changed = scene.done("policy-export")
    assert (changed.changed, scene.commits()) == (1, 2)
    assert scene.kept() == scene.platform.contents()
    text = scene.git("log", "-1", "--format=%B", "main")
    assert "changed jobs; removed authSettings" in text
    assert "Run: " in text


def test_what_else_is_in_the_repository_stays(scene: Scene) -> None:
    folder = f"{scene.name}/policy"
    others = {"README": "by hand\n", f"{folder}/notes": "x\n", f"{folder}/own.pol": "{ }\n"}
    scene.push(others)
    scene.done("policy-export")
    beside = {"README": "by hand\n", "notes": "x\n", "own.pol": "{ }\n"}
    assert scene.kept() == {**POLICY, **beside}
    assert scene.commits() == 2
    assert scene.done("policy-export").changed == 0


def test_a_newer_edit_of_a_person_is_not_taken_back(scene: Scene) -> None:
    scene.done("policy-export")
    edited = "on job::/ { { permit by hand } }\n"
    scene.push({f"{scene.name}/policy/jobs.pol": edited})
    scene.platform.put("policy", "authSettings.pol", "on auth::/ { { permit other } }\n")
    outcome = scene.run("policy-export")
    assert "not what is used: jobs" in outcome.said
    assert scene.commits() == 2
    scene.platform.put("policy", "jobs.pol", edited)
    scene.done("policy-export")
    assert scene.kept() == scene.platform.contents()


def test_an_export_of_nothing_is_no_version(scene: Scene) -> None:
    scene.done("policy-export")
    for name in POLICY:
        scene.platform.drop("policy", name)
    assert "exported none" in scene.run("policy-export").said
    assert scene.kept() == POLICY


def test_a_plan_counts_the_coming_version_and_an_unreadable_one_stops_nothing(
    scene: Scene,
) -> None:
    scene.in_git, scene.exports = False, {"keep": 1}
    scene.done("policy-export")
    top = scene.base / "store" / scene.name / "exports" / "policy"
    (old,) = [path.name for path in top.iterdir()]
    (top / old / "export.json").write_text("{")
    planned = scene.done("policy-export", dry_run=True)
    assert planned.plan is not None
    assert f"remove {old}" in planned.plan.markdown()
    outcome = scene.done("policy-export")
    assert "newest version cannot be read" in outcome.told
    (new,) = [path.name for path in top.iterdir()]
    assert new != old
    assert scene.done("policy-export").changed == 0


def test_without_a_repository_versions_lie_in_the_store_and_the_newest_remain(
    scene: Scene,
) -> None:
    scene.in_git, scene.exports = False, {"keep": 2}
    for number in range(3):
        scene.platform.put("policy", "jobs.pol", f"on job::/ {{ {{ permit {number} }} }}\n")
        scene.done("policy-export")
    assert scene.done("policy-export").changed == 0
    found = scene.stored()
    assert len(found) == 2 * 3
    newest = scene.base / "store" / scene.name / "exports" / "policy" / found[-1].split("/")[0]
    assert (newest / "jobs.pol").read_text() == scene.platform.contents()["jobs.pol"]
    assert found[-2].endswith("export.json")


@pytest.mark.parametrize(
    ("point", "in_git"),
    [
        (Point("2"), True),
        (Point("3", action=1, signal=signal.SIGTERM), True),
        (Point("3"), True),
        (Point("4"), True),
        (Point("3", action=1), False),
        (Point("3"), False),
    ],
    ids=str,
)
def test_a_run_that_ended_early_is_started_again(
    scene: Scene, point: Point, *, in_git: bool
) -> None:
    scene.in_git = in_git
    assert not scene.run("policy-export", at=point).completed
    scene.settled()
    scene.done("policy-export")
    assert (scene.kept() == POLICY) is in_git
    assert scene.commits() == int(in_git)
    assert len([name for name in scene.stored() if name.endswith("export.json")]) == int(not in_git)


def test_a_run_that_dies_while_the_client_works_leaves_nothing(scene: Scene) -> None:
    scene.platform.trouble(export_jobs="hang")
    running = scene.runner.start("policy-export", cluster=scene.name)
    processes.until((scene.platform.directory / "hanging").exists, "the client hangs", within=60)
    running.send(signal.SIGKILL)
    running.outcome()
    scene.settled()
    assert scene.commits() == 0


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("cut", "braces are not closed"),
        ("empty", "it is empty"),
        ("fail", "no space left on device"),
    ],
)
def test_a_success_that_is_none_keeps_nothing(scene: Scene, fault: str, said: str) -> None:
    scene.done("policy-export")
    scene.platform.put("policy", "jobs.pol", "on job::/ {\n  { permit other }\n}\n")
    scene.platform.trouble(export_jobs=fault)
    outcome = scene.run("policy-export")
    assert said in outcome.said
    assert scene.kept() == POLICY


def test_a_document_that_must_be_there_and_is_missing_is_told(scene: Scene) -> None:
    scene.exports = {"documents": ["jobs", "authSettings"]}
    scene.platform.trouble(export_jobs="missing")
    outcome = scene.run("policy-export")
    assert "missing: jobs" in outcome.said
    assert scene.commits() == 0


def test_secrets_are_refused_by_place_and_never_shown(scene: Scene) -> None:
    scene.platform.put("policy", "jobs.pol", 'on job::/ {\n  db_password: "hunter2-x"\n}\n')
    outcome = scene.run("policy-export")
    assert outcome.ended == "Refused"
    assert "jobs.pol:2: a secret's value" in outcome.said
    assert "hunter2" not in outcome.said
    assert scene.commits() == 0


def test_a_missing_client_or_folder_is_told_before_anything_is_done(scene: Scene) -> None:
    scene.exports = {"program": "/usr/local/bin/no-apc"}
    assert "can be started" in scene.run("policy-export").said
    scene.exports = {"directory": str(scene.base / "nowhere")}
    assert "can be written to" in scene.run("policy-export").said
    assert scene.platform.commands == []


def test_a_push_that_is_refused_is_told_and_nothing_else_has_changed(scene: Scene) -> None:
    hook = scene.repository / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho protected branch >&2; exit 1\n")
    hook.chmod(0o755)
    outcome = scene.run("policy-export")
    assert "protected branch" in outcome.said
    assert scene.commits() == 0
    assert AUTH in scene.platform.contents()["authSettings.pol"]
