"""The laws of policy-import: the cluster has what a version has; nothing unasked is replaced."""

from __future__ import annotations

import signal

import pytest

from tests.laws.outcome import Point
from tests.laws.platform.export_scene import AUTH, POLICY, Scene

pytestmark = pytest.mark.lab
OTHER = "on auth::/ {\n    { permit nobody }\n}\n"


def lost(scene: Scene) -> None:
    """Export, and let the platform lose both documents; it has another, too."""
    scene.done("policy-export")
    for name in POLICY:
        scene.platform.drop("policy", name)
    scene.platform.put("policy", "own.pol", "on job::/own { { permit all } }\n")
    (scene.platform.directory / "journal").unlink()


def imported(scene: Scene) -> list[str]:
    return [line for line in scene.platform.commands if line.startswith("policy import")]


def test_a_dry_run_changes_nothing_and_tells_new_same_and_different(scene: Scene) -> None:
    lost(scene)
    scene.platform.put("policy", "jobs.pol", POLICY["jobs.pol"])
    outcome = scene.done("policy-import", dry_run=True)
    assert imported(scene) == []
    assert outcome.plan is not None
    facts = {fact.name: fact.value for fact in outcome.plan.facts}
    assert (facts["new"], facts["same"], facts["different"]) == ("authSettings", "jobs", "none")
    assert facts["only in the cluster, left alone"] == "own"
    assert "policy import authSettings.pol" in outcome.plan.markdown()


@pytest.mark.parametrize("in_git", [True, False], ids=["git", "store"])
def test_lost_documents_come_back_once(scene: Scene, *, in_git: bool) -> None:
    scene.in_git = in_git
    lost(scene)
    outcome = scene.done("policy-import")
    assert scene.platform.contents().items() >= POLICY.items()
    assert "own.pol" in scene.platform.contents()
    assert imported(scene) == ["policy import authSettings.pol jobs.pol"]
    (told,) = [entry for entry in outcome.record if entry["event"] == "export"]
    assert told["role"] == "imported"
    assert "authSettings.pol" in str(told["objects"])
    assert scene.done("policy-import").changed == 0
    assert list(scene.way.iterdir()) == []


def test_one_document_is_imported_alone(scene: Scene) -> None:
    lost(scene)
    scene.done("policy-import", document="jobs")
    assert "authSettings.pol" not in scene.platform.contents()
    assert scene.platform.contents()["jobs.pol"] == POLICY["jobs.pol"]


@pytest.mark.parametrize("in_git", [True, False], ids=["git", "store"])
def test_another_text_is_refused_or_kept_and_replaced_and_can_be_brought_back(
    scene: Scene, *, in_git: bool
) -> None:
    scene.in_git, scene.exports = in_git, {"keep": 1}
    scene.done("policy-export")
    scene.platform.put("policy", "authSettings.pol", OTHER)
    refused = scene.run("policy-import")
    assert "different: authSettings" in refused.said
    replaced = scene.done("policy-import", replace=True)
    assert scene.platform.contents() == POLICY
    assert "-    { permit nobody }" in replaced.told
    kept, _ = [str(e["version"]) for e in replaced.record if e["event"] == "export"]
    assert kept.startswith("replaced/")
    assert f"as version {kept}" in replaced.told
    assert scene.done("policy-import", replace=True).changed == 0
    scene.done("policy-import", version=kept, replace=True)
    assert scene.platform.contents()["authSettings.pol"] == OTHER
    scene.done("policy-import", replace=True)
    assert scene.platform.contents() == POLICY


def test_the_text_of_a_person_in_the_repository_is_imported(scene: Scene) -> None:
    scene.done("policy-export")
    scene.push({f"{scene.name}/policy/jobs.pol": "on job::/ { { permit by hand } }\n"})
    assert "take back" in scene.run("policy-export").said
    scene.done("policy-import", replace=True)
    assert "by hand" in scene.platform.contents()["jobs.pol"]
    assert scene.done("policy-export").changed == 0


def test_the_lines_of_secrets_are_not_shown(scene: Scene) -> None:
    scene.in_git = False
    scene.platform.put("policy", "jobs.pol", 'on job::/ {\n  password: "hunter2-x"\n}\n')
    scene.done("policy-export")
    scene.platform.put("policy", "jobs.pol", 'on job::/ {\n  password: "hunter3-x"\n}\n')
    outcome = scene.done("policy-import", replace=True)
    assert "-*** (looks like a secret)" in outcome.told
    assert "hunter" not in outcome.said + outcome.told + outcome.trail.read_text()
    assert "hunter2-x" in scene.platform.contents()["jobs.pol"]


def test_what_changes_between_the_question_and_the_import_is_not_overwritten(
    scene: Scene,
) -> None:
    scene.done("policy-export")
    scene.platform.put("policy", "jobs.pol", "on job::/ { { permit other } }\n")
    halt = Point("4", signal=signal.SIGSTOP)
    running = scene.runner.start("policy-import", cluster=scene.name, replace=True, at=halt)
    running.halted()
    scene.platform.put("policy", "jobs.pol", "on job::/ { { permit newer } }\n")
    running.send(signal.SIGCONT)
    assert "still says what was compared" in running.outcome().said
    assert "newer" in scene.platform.contents()["jobs.pol"]
    assert imported(scene) == []


@pytest.mark.parametrize(
    "point",
    [
        Point("5"),
        *(Point("5", action=number) for number in (1, 2)),
        Point("5", action=2, signal=signal.SIGTERM),
    ],
    ids=str,
)
def test_a_run_that_ended_early_is_started_again(scene: Scene, point: Point) -> None:
    lost(scene)
    assert not scene.run("policy-import", at=point).completed
    scene.settled()
    scene.done("policy-import")
    assert scene.platform.contents().items() >= POLICY.items()
    assert len(imported(scene)) == 1
    assert list(scene.way.iterdir()) == []


@pytest.mark.parametrize("in_git", [True, False], ids=["git", "store"])
def test_a_run_that_ended_after_the_old_text_was_kept_is_started_again(
    scene: Scene, *, in_git: bool
) -> None:
    scene.in_git, scene.exports = in_git, {"keep": 1}
    scene.done("policy-export")
    scene.platform.put("policy", "authSettings.pol", OTHER)
    assert not scene.run("policy-import", replace=True, at=Point("4")).completed
    scene.done("policy-import", replace=True)
    assert scene.platform.contents() == POLICY
    scene.done("policy-import", version="replaced/latest", replace=True)
    assert scene.platform.contents()["authSettings.pol"] == OTHER


def test_a_refused_plan_or_a_bad_version_changes_nothing(scene: Scene) -> None:
    lost(scene)
    assert scene.run("policy-import", answer="refuse").ended == "RefusedByPerson"
    for version in ("nothing", "--upload-pack=x", "0" * 40):
        assert not scene.run("policy-import", version=version).completed
    assert "has no nothing" in scene.run("policy-import", document="nothing").said
    assert imported(scene) == []


def test_a_damaged_version_is_refused_before_anything_is_imported(scene: Scene) -> None:
    scene.in_git = False
    lost(scene)
    (name,) = [name for name in scene.stored() if name.endswith("authSettings.pol")]
    path = scene.base / "store" / scene.name / "exports" / "policy" / name
    path.write_text(AUTH.replace("all", "any"))
    outcome = scene.run("policy-import")
    assert outcome.ended == "Damaged"
    assert imported(scene) == []


def test_an_import_that_fails_half_way_is_told_and_the_next_one_finishes(scene: Scene) -> None:
    lost(scene)
    scene.platform.trouble(policy_import="fail")
    assert "no space left on device" in scene.run("policy-import").said
    assert list(scene.way.iterdir()) == []
    scene.platform.trouble()
    scene.done("policy-import")
    assert scene.platform.contents().items() >= POLICY.items()
