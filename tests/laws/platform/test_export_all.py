"""The laws of export-all: everything in one whole file, or packages and jobs apart, and said so."""

from __future__ import annotations

import hashlib
import signal
import tarfile
from pathlib import Path

import pytest

from runbook.plan import Plan
from runbook.platform.export import Export
from tests.laws.outcome import Point
from tests.laws.platform.export_all_scene import RUN, fill, layered, places
from tests.laws.platform.export_scene import Scene

pytestmark = pytest.mark.lab


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """Give a platform with a job and a package."""
    fill(scene)
    return scene


def test_a_dry_run_shows_both_ways_and_runs_none(scene: Scene) -> None:
    outcome = scene.done("export-all", dry_run=True)
    assert scene.platform.commands == []
    assert places(scene) == (0, 0, 0)
    assert outcome.plan is not None
    page = outcome.plan.markdown()
    for line in ("apc export all", "apc package export go-1", "apc job export guide"):
        assert line in page
    assert "only if the client refuses step 2" in page


def test_everything_lies_in_one_file_and_the_newest_remain(scene: Scene) -> None:
    scene.exports["keep"] = 1
    first = scene.done("export-all", run_id=RUN)
    assert scene.platform.commands == ["export all"]
    again = scene.done("export-all", run_id=RUN)
    assert (again.changed, scene.platform.commands) == (0, ["export all"])
    scene.done("export-all")
    assert places(scene) == (2, 0, 0)
    (found,) = [name for name in scene.stored("all") if name.endswith("/all.cntmp")]
    path = scene.base / "store" / scene.name / "exports" / "all" / found
    with tarfile.open(path) as tar:
        names = {member.name for member in tar}
    assert {"job/apcera/guide/layer", "package/apcera.pkg/go-1/layer"} <= names
    told = [entry for entry in first.record if entry["event"] == "export"]
    assert (told[0]["kind"], told[0]["role"]) == ("all", "kept")
    newest = [entry for entry in scene.done("export-all").record if entry["event"] == "export"]
    (kept,) = scene.base.glob(f"store/*/exports/all/{newest[0]['version']}/all.cntmp")
    assert hashlib.sha256(kept.read_bytes()).hexdigest() in str(newest[0]["objects"])


def test_the_record_tells_of_every_file_when_it_was_read_back(scene: Scene) -> None:
    scene.exports["jobs"] = {"/apcera": ["guide", "shop"]}
    scene.platform.put("job", "apcera/shop", "shop 1\n")
    for kind in ("all", "job"):
        scene.done("export-all")
        (path,) = scene.base.glob(f"store/*/exports/{kind}/*/export.json")
        export = Export.model_validate_json(path.read_bytes())
        moments = [file.verified for file in export.files if file.verified]
        assert len(moments) == len(export.files)
        assert sorted([*moments, export.finished]) == [*moments, export.finished]
        layered(scene)


def test_without_lists_the_plan_says_that_contents_are_not_checked(scene: Scene) -> None:
    planned = scene.done("export-all", dry_run=True).plan
    assert planned is not None
    assert "checked against the lists" in contents(planned)
    scene.exports["jobs"] = {}
    assert "jobs NOT checked against any list" in contents(scene.done("export-all").plan)
    scene.exports["packages"] = {}
    assert "packages and jobs NOT checked against any list" in contents(
        scene.done("export-all").plan
    )


def contents(plan: Plan | None) -> str:
    """Give what a plan says of how contents are checked."""
    assert plan is not None
    return {fact.name: fact.value for fact in plan.facts}["contents"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("cut", "everything is not whole"),
        ("empty", "everything is not whole"),
        ("garbled", "everything is not whole"),
        ("missing", "is empty"),
    ],
)
def test_a_success_that_is_none_is_neither_an_export_nor_a_refusal(
    scene: Scene, fault: str, said: str
) -> None:
    scene.platform.trouble(export_all=fault)
    assert said in scene.run("export-all").said
    assert scene.platform.commands == ["export all"]
    assert places(scene) == (0, 0, 0)


def test_an_export_that_lacks_what_the_settings_list_is_none(scene: Scene) -> None:
    scene.exports["jobs"] = {"/apcera": ["guide", "shop"]}
    assert "nothing of the name of job::/apcera::shop" in scene.run("export-all").said
    assert places(scene) == (0, 0, 0)


def test_bad_input_is_refused_before_anything_is_asked_of_the_platform(scene: Scene) -> None:
    scene.exports["program"] = "/usr/local/bin/no-apc"
    assert "can be started" in scene.run("export-all").said
    scene.exports |= {"program": "apc", "store": ""}
    assert "has no store" in scene.run("export-all").said
    assert scene.platform.commands == []


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "apart"])
def test_a_run_that_is_killed_after_every_step_is_started_again(
    scene: Scene, *, whole: bool
) -> None:
    points = [Point("1"), Point("2", action=1), Point("2", action=2), Point("2"), Point("3")]
    if not whole:
        layered(scene)
        points += [Point("3", action=2), Point("3", action=4)]
    for point in sorted(points, key=lambda point: (point.step, point.action or 9)):
        assert scene.run("export-all", at=point, run_id=RUN).ended == "killed", point
        scene.settled()
    scene.done("export-all", run_id=RUN)
    assert places(scene) == ((2, 0, 0) if whole else (0, 2, 2))


def test_a_cancelled_run_leaves_nothing(scene: Scene) -> None:
    for point in (Point("2", action=2), Point("3", action=2)):
        layered(scene) if point.step == "3" else None
        cancelled = Point(point.step, action=point.action, signal=signal.SIGTERM)
        assert scene.run("export-all", at=cancelled).ended == "_Terminated"
        scene.settled()
        assert places(scene) == (0, 0, 0)
    assert not list(Path(scene.way).iterdir())


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_an_export_that_is_no_longer_whole_in_the_store_is_made_again(
    scene: Scene, damage: str
) -> None:
    scene.done("export-all", run_id=RUN)
    (path,) = scene.base.glob("store/*/exports/all/*/all.cntmp")
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:-1])
    again = scene.done("export-all", run_id=RUN)
    assert scene.platform.commands == ["export all"] * 2
    (told,) = [e for e in again.record if e["event"] == "export"][1:]
    (kept,) = scene.base.glob(f"store/*/exports/all/{told['version']}/all.cntmp")
    assert hashlib.sha256(kept.read_bytes()).hexdigest() in str(told["objects"])


def test_a_run_finds_its_export_behind_any_number_of_others(scene: Scene) -> None:
    scene.exports["keep"] = 9
    scene.done("export-all", run_id=RUN)
    for _ in range(4):
        scene.done("export-all")
    assert scene.done("export-all", run_id=RUN).changed == 0
    assert scene.platform.commands == ["export all"] * 5
