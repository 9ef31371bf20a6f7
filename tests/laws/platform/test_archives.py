"""The laws of package-export, package-import, job-export and job-import."""

from __future__ import annotations

import fcntl
import os
import signal
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab import processes
from tests.laws.outcome import Point
from tests.laws.platform.export_scene import Scene

pytestmark = pytest.mark.lab
JOBS = {"apcera/guide": "guide 1\n", "apcera/shop": "shop 1\n", "acme/shop": "another shop\n"}
LISTED = {"/apcera": ["guide", "shop"], "/acme": ["shop"]}
EXPORTED = [
    *("ns /apcera", "job export guide", "ns /apcera", "job export shop"),
    *("ns /acme", "job export shop"),
]


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """Let the platform have jobs of two namespaces, and a package."""
    for name, text in JOBS.items():
        scene.platform.put("job", name, text)
    scene.platform.put("package", "apcera.pkg.runtimes/go-1.5.1", "go " * 99)
    scene.exports = {"jobs": LISTED, "packages": {"/apcera/pkg/runtimes": ["go-1.5.1"]}}
    return scene


def lost(scene: Scene, kind: str = "job") -> None:
    """Export, and let the platform lose everything of the kind."""
    scene.done(f"{kind}-export")
    for name in scene.platform.contents(kind):
        scene.platform.drop(kind, name)
    (scene.platform.directory / "journal").unlink()


def imports(scene: Scene) -> list[str]:
    return [line for line in scene.platform.commands if "import" in line]


@contextmanager
def another_run(folder: Path) -> Iterator[None]:
    """Hold the lock of another run of the same login."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def archive(scene: Scene, name: str, kind: str = "job") -> Path:
    (found,) = [each for each in scene.stored(kind) if each.endswith(f"/{name}.cntmp")]
    return scene.base / "store" / scene.name / "exports" / kind / found


def test_a_dry_run_shows_the_commands_of_the_page_and_runs_none(scene: Scene) -> None:
    outcome = scene.done("job-export", dry_run=True)
    assert scene.platform.commands == []
    assert scene.stored("job") == []
    assert outcome.plan is not None
    page = outcome.plan.markdown()
    assert "apc ns /acme &&" in page
    assert "apc job export shop" in page


def test_every_job_is_exported_by_its_namespace_and_the_newest_remain(scene: Scene) -> None:
    scene.exports["keep"] = 1
    first = scene.done("job-export")
    assert scene.platform.commands == EXPORTED
    again = scene.done("job-export", run_id=first.trail.stem)
    assert again.changed == 0
    scene.done("job-export")
    names = [Path(name).name for name in scene.stored("job")]
    expected = ["acme--shop.cntmp", "apcera--guide.cntmp", "apcera--shop.cntmp", "export.json"]
    assert names == expected
    with tarfile.open(archive(scene, "acme--shop")) as tar:
        layer = tar.extractfile("layer")
        assert layer is not None
        assert layer.read() == b"another shop\n"
    told, *_ = [entry for entry in first.record if entry["event"] == "export"]
    assert "acme--shop.cntmp" in str(told["objects"])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("cut", "is not whole"),
        ("empty", "is not whole"),
        ("garbled", "is not whole"),
        ("missing", "holds nothing"),
        ("fail", "no space left on device"),
    ],
)
def test_a_success_that_is_none_is_no_export(scene: Scene, fault: str, said: str) -> None:
    scene.platform.trouble(export_shop=fault)
    outcome = scene.run("job-export")
    assert said in outcome.said
    assert scene.stored("job") == []


@pytest.mark.parametrize(
    "point",
    [
        *(Point("2", action=number) for number in (2, 4)),
        Point("2", action=3, signal=signal.SIGTERM),
        Point("2"),
    ],
    ids=str,
)
def test_an_export_that_ended_early_is_no_export(scene: Scene, point: Point) -> None:
    assert not scene.run("job-export", at=point).completed
    whole = [name for name in scene.stored("job") if name.endswith("export.json")]
    assert len(whole) == (point == Point("2"))
    if point.signal is signal.SIGTERM:
        assert scene.stored("job") == []
    scene.settled()
    scene.done("job-export")
    assert not [name for name in scene.stored("job") if name.endswith("begun")]
    assert len(scene.stored("job")) == 4 * (len(whole) + 1)


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("package", "package import apcera.pkg.runtimes--go-1.5.1.cntmp --batch"),
        ("job", "import apcera--guide.cntmp apcera--shop.cntmp acme--shop.cntmp"),
    ],
)
def test_what_was_lost_comes_back_into_its_namespace_once(
    scene: Scene, kind: str, command: str
) -> None:
    before = scene.platform.contents(kind)
    lost(scene, kind)
    planned = scene.done(f"{kind}-import", dry_run=True)
    assert imports(scene) == []
    assert planned.plan is not None
    assert command in planned.plan.markdown()
    outcome = scene.done(f"{kind}-import")
    assert scene.platform.contents(kind) == before
    assert imports(scene) == [command]
    (told,) = [entry for entry in outcome.record if entry["event"] == "export"]
    assert told["role"] == "imported"
    assert scene.done(f"{kind}-import").changed == 0
    assert list(scene.way.iterdir()) == []


def test_another_content_of_the_name_is_refused_or_left_as_it_is(scene: Scene) -> None:
    lost(scene)
    scene.platform.put("job", "apcera/shop", "shop 2\n")
    scene.platform.put("job", "apcera/guide", JOBS["apcera/guide"])
    refused = scene.run("job-import")
    assert "exists with other content: job::/apcera::shop" in refused.said
    assert imports(scene) == []
    outcome = scene.done("job-import", skip_existing=True)
    assert imports(scene) == ["import acme--shop.cntmp --skip-existing"]
    assert scene.platform.contents("job") == {**JOBS, "apcera/shop": "shop 2\n"}
    assert outcome.plan is not None
    facts = {fact.name: fact.value for fact in outcome.plan.facts}
    assert facts["same"] == "job::/apcera::guide"
    assert facts["different"] == "job::/apcera::shop"


def test_override_imports_into_the_namespace_that_is_named(scene: Scene) -> None:
    scene.done("package-export")
    where = {"override": "/acme/pkg/runtimes", "name": "go-1.5.1"}
    scene.done("package-import", **where)
    assert "acme.pkg.runtimes/go-1.5.1" in scene.platform.contents("package")
    command = "package import apcera.pkg.runtimes--go-1.5.1.cntmp --batch --override"
    assert imports(scene) == [command]
    at = scene.platform.commands.index(command)
    assert scene.platform.commands[at - 1] == "namespace /acme/pkg/runtimes"
    assert scene.done("package-import", **where).changed == 0


@pytest.mark.parametrize(
    "point",
    [
        Point("4", action=2, signal=signal.SIGTERM),
        Point("4", action=4),
        Point("4"),
    ],
    ids=str,
)
def test_an_import_that_ended_early_is_started_again(scene: Scene, point: Point) -> None:
    lost(scene)
    assert not scene.run("job-import", at=point).completed
    scene.settled()
    scene.done("job-import")
    assert scene.platform.contents("job") == JOBS
    assert len(imports(scene)) == 1
    assert list(scene.way.iterdir()) == []


def test_bad_input_is_refused_before_the_first_import(scene: Scene) -> None:
    lost(scene)
    assert scene.run("job-import", answer="refuse").ended == "RefusedByPerson"
    assert "has no job nothing" in scene.run("job-import", name="nothing").said
    assert "there is no job export" in scene.run("job-import", version="20200101000000").said
    assert "is a namespace" in scene.run("job-import", override="-x").said
    path = archive(scene, "apcera--shop")
    path.write_bytes(path.read_bytes()[:-20])
    assert "is not whole" in scene.run("job-import").said
    scene.exports["jobs"] = {}
    assert "name no job" in scene.run("job-export").said
    assert imports(scene) == []


def test_with_override_no_two_come_to_one_name(scene: Scene) -> None:
    lost(scene)
    outcome = scene.run("job-import", override="/elsewhere")
    assert "a target of its own" in outcome.said
    assert "job::/elsewhere::shop" in outcome.said
    assert imports(scene) == []


def test_who_targets_a_namespace_waits_for_the_login_and_not_for_ever(scene: Scene) -> None:
    lost(scene)
    scene.exports["limit_seconds"] = 1
    with another_run(scene.way):
        for procedure in ("job-export", "job-import"):
            outcome = scene.run(procedure, dry_run=procedure == "job-import")
            assert "not ended after 1 s" in outcome.said
        assert scene.platform.commands == []
    scene.exports["limit_seconds"] = 600
    scene.done("job-import")
    assert scene.platform.contents("job") == JOBS


def test_an_unreadable_export_stops_no_other_and_the_plan_counts_what_comes(scene: Scene) -> None:
    scene.exports["keep"] = 1
    scene.done("job-export")
    (record,) = [name for name in scene.stored("job") if name.endswith("export.json")]
    (scene.base / "store" / scene.name / "exports" / "job" / record).write_text("{")
    planned = scene.done("job-export", dry_run=True)
    assert planned.plan is not None
    assert f"remove {Path(record).parent.name}" in planned.plan.markdown()
    scene.done("job-export")
    assert record not in scene.stored("job")


def test_a_client_that_is_ended_half_way_leaves_nothing(scene: Scene) -> None:
    scene.platform.trouble(export_guide="hang")
    running = scene.runner.start("job-export", cluster=scene.name)
    processes.until((scene.platform.directory / "hanging").exists, "the client hangs", within=60)
    running.send(signal.SIGTERM)
    running.outcome()
    scene.settled()
    assert scene.stored("job") == []
