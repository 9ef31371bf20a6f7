"""A second server becomes a standby: its password is in one file and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.loopback import LoopbackLab
from tests.secrets import covered, instance, pair
from tests.secrets.markers import Markers
from tests.secrets.portal import served
from tests.secrets.sampler import Sampler
from tests.secrets.watch import Watch

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def story(
    loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[pair.Scene, Watch, Sampler]]:
    markers = Markers()
    base = tmp_path_factory.mktemp("whispered")
    with served(instance.portal_of(markers)) as portal:
        scene = pair.build(loopback_lab, "whispa", "whispb", base, markers, portal)
        watch = pair.watch(scene, markers)
        with watch.sampling() as sampler:
            tell(scene, watch)
        yield scene, watch, sampler
        scene.halt()


def tell(scene: pair.Scene, watch: Watch) -> None:
    """Set the standby up, move the traffic and look at the health."""
    planned = watch.done("standby-setup", scene.run(dry_run=True))
    assert planned.plan is not None
    assert "PASSWORD '***'" in planned.plan.markdown()
    watch.done("standby-setup", scene.run())
    runner = scene.runner
    for to in (scene.standby.name, "all"):
        moved = runner.run("traffic", cluster=scene.name, app=pair.APPLICATION, to=to)
        watch.done("traffic", moved)
    watch.done("health-check", runner.run("health-check", cluster=scene.name))


def test_no_secret_is_seen_anywhere_but_in_the_password_file(
    story: tuple[pair.Scene, Watch, Sampler],
) -> None:
    scene, watch, sampler = story
    assert watch.findings(sampler) == {}
    assert set(watch.ran) == covered.PAIR
    (path,) = watch.kept
    assert watch.loose_files() == []
    assert watch.markers.seen_in(path.read_bytes())
    assert scene.streams()
    connection = (scene.live / "postgresql.auto.conf").read_text()
    assert "primary_conninfo" in connection
    assert f"passfile={path}" in connection.replace("'", "")
