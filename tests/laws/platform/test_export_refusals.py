"""What export-all takes for a refusal, and what it does then: packages and jobs apart."""

from __future__ import annotations

import signal

import pytest

from tests.lab import processes
from tests.laws.driver import Running
from tests.laws.outcome import Outcome, Point
from tests.laws.platform.export_all_scene import APART, RUN, fill, layered, places
from tests.laws.platform.export_scene import Scene

pytestmark = pytest.mark.lab


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """Give a platform with a job and a package."""
    fill(scene)
    return scene


def test_what_the_client_refuses_is_exported_apart_and_said_so(scene: Scene) -> None:
    layered(scene)
    outcome = scene.done("export-all", run_id=RUN)
    assert scene.platform.commands == ["export all", *APART]
    assert places(scene) == (0, 2, 2)
    assert "cannot export multi-layered package 'go-1'" in outcome.told
    again = scene.done("export-all", run_id=RUN)
    assert (again.changed, places(scene)) == (0, (0, 2, 2))
    scene.exports["jobs"] = {}
    lacking = scene.run("export-all")
    assert "exports.jobs not set" in lacking.said
    assert "multi-layered" in lacking.said
    assert places(scene) == (0, 2, 2)


def test_a_refusal_counts_also_when_half_a_file_was_written_before_it(scene: Scene) -> None:
    scene.platform.trouble(export_all="half refused")
    assert "cannot export Multi-Layered package" in scene.done("export-all").told
    assert places(scene) == (0, 2, 2)


def test_a_run_that_exported_apart_ends_unlike_one_that_has_everything(scene: Scene) -> None:
    assert scene.done("export-all").memory == {}
    layered(scene)
    for _ in range(2):
        outcome = scene.done("export-all", run_id=RUN)
        assert outcome.memory == {"apart": "only what the settings list, not everything"}
        assert "apart: only what the settings list, not everything" in outcome.told
    told = [entry for entry in outcome.record if entry["event"] == "export"]
    refused = [entry for entry in told if entry["role"] == "refused"]
    assert "multi-layered package" in str(refused[0]["why"])


@pytest.mark.parametrize(
    ("fault", "said"),
    [("fail", "no space left on device"), ("killed", "ended with exit code 137")],
)
def test_another_failure_of_the_client_is_no_refusal(scene: Scene, fault: str, said: str) -> None:
    scene.platform.trouble(export_all=fault)
    outcome = scene.run("export-all")
    assert outcome.ended == "CommandFailed"
    assert said in outcome.said
    assert scene.platform.commands == ["export all"]
    assert places(scene) == (0, 0, 0)


def test_what_counts_as_a_refusal_can_be_set(scene: Scene) -> None:
    scene.platform.trouble(export_all="fail")
    scene.exports["refusal"] = "NO SPACE"
    assert "no space left on device" in scene.done("export-all").told
    assert places(scene) == (0, 2, 2)


def only_tried_everything(scene: Scene, outcome: Outcome) -> None:
    """Insist that a run began one action, and has left nothing."""
    assert outcome.commands == [f"{scene.platform.program} export all"]
    assert places(scene) == (0, 0, 0)


def hanging(scene: Scene) -> Running:
    """Start a run whose client hangs in the export of everything."""
    scene.platform.trouble(export_all="hang")
    running = scene.runner.start("export-all", cluster=scene.name)
    processes.until((scene.platform.directory / "hanging").exists, "the client hangs", within=60)
    return running


def test_a_folder_that_has_gone_is_no_refusal(scene: Scene) -> None:
    point = Point("2", action=1, signal=signal.SIGSTOP)
    running = scene.runner.start("export-all", at=point, cluster=scene.name)
    running.halted()
    scene.way.rmdir()
    running.send(signal.SIGCONT)
    outcome = running.outcome()
    scene.way.mkdir(mode=0o700)
    assert outcome.ended == "CommandFailed"
    assert "export.XXXXXX" in outcome.said
    only_tried_everything(scene, outcome)


def test_a_store_that_fails_is_no_refusal(scene: Scene) -> None:
    running = hanging(scene)
    (begun,) = scene.base.glob("store/*/exports/all/*/export.begun")
    begun.with_name("all.cntmp").write_text("in the way")
    (scene.platform.directory / "hanging").unlink()
    outcome = running.outcome()
    assert "all.cntmp" in outcome.said
    only_tried_everything(scene, outcome)


def test_a_host_that_is_cut_off_is_no_refusal(scene: Scene) -> None:
    running = hanging(scene)
    try:
        scene.host.stop_ssh()
        outcome = running.outcome()
    finally:
        scene.host.start_ssh()
    assert outcome.cut_off, outcome.said
    scene.settled()
    only_tried_everything(scene, outcome)


def test_a_client_that_does_not_answer_is_no_refusal(scene: Scene) -> None:
    scene.platform.trouble(export_all="hang")
    scene.exports["limit_seconds"] = 2
    outcome = scene.run("export-all")
    assert outcome.cut_off, outcome.said
    assert "not ended after 2 s" in outcome.said
    only_tried_everything(scene, outcome)


def test_what_was_exported_apart_is_pruned_by_this_runbook(scene: Scene) -> None:
    scene.exports["keep"] = 1
    scene.done("export-all")
    layered(scene)
    scene.done("export-all")
    planned = scene.done("export-all", dry_run=True).plan
    assert planned is not None
    (going,) = scene.base.glob("store/*/exports/job/*/export.json")
    page = planned.markdown()
    assert f"remove {going.parent.name}" in page
    assert "of packages and jobs only if the client refuses step 2" in page
    scene.done("export-all")
    assert places(scene) == (2, 2, 2)
    assert going.exists() is False
