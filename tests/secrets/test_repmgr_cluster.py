"""A repmgr cluster: promoted, rejoined, rebuilt, recovered, and no secret is seen anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lab import trouble
from tests.lab.loopback import LoopbackLab
from tests.laws.outcome import Outcome
from tests.laws.rebuild_troubles import lose
from tests.secrets import cluster, covered, instance
from tests.secrets.markers import Markers
from tests.secrets.portal import served
from tests.secrets.sampler import Sampler
from tests.secrets.watch import Watch

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]


@dataclass
class Story:
    """What has happened before the tests look."""

    scene: cluster.Scene
    watch: Watch
    sampler: Sampler


@pytest.fixture(scope="module")
def story(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    markers = Markers()
    base = tmp_path_factory.mktemp("muted")
    with served(instance.portal_of(markers)) as portal:
        scene, watch = cluster.build(
            loopback_lab, "ma", "mb", base=base, markers=markers, portal=portal
        )
        with watch.sampling() as sampler:
            tell(scene, watch)
        (app,) = scene.apps
        watch.kept |= set(app.directory.glob(f"{app.settings.name}.*.bak"))
        yield Story(scene, watch, sampler)
        scene.halt()


def tell(scene: cluster.Scene, watch: Watch) -> None:
    """Hand over and take back, lose each server once, and put all of them back to a backup."""

    def done(runbook: str, **arguments: object) -> Outcome:
        return watch.done(runbook, scene.run(runbook, **arguments))

    done("base-backup")
    done("promotion", to="mb")
    done("rejoin", node="ma")
    trouble.kill(scene.node("mb"))
    done("promotion", to="ma", mode="failover")
    lose(scene.node("mb"))
    done("standby-rebuild", standby="mb")
    done("cluster-restore", primary="ma")
    done("logical-backup")
    done("logical-recovery")
    done("discard-databases", moment=moment_of(scene))
    done("health-check")


def moment_of(scene: cluster.Scene) -> str:
    """Give the moment at which databases were set aside."""
    names = scene.node("ma").psql("SELECT max(datname) FROM pg_database WHERE datname ~ '_aside_'")
    return names.rpartition("_")[2]


def test_no_secret_is_seen_anywhere(story: Story) -> None:
    assert story.watch.findings(story.sampler) == {}
    assert set(story.watch.ran) == covered.REPMGR_CLUSTER
    assert {"postgres", "sshd", "repmgr"} <= story.sampler.programs


def test_the_passwords_were_needed_and_stand_where_they_stood(story: Story) -> None:
    scene = story.scene
    (app,) = scene.apps
    text = app.settings.read_text()
    address = scene.node("ma").host.address
    secret = text.partition("DATABASE_PASSWORD=")[2].partition("\n")[0]
    assert story.watch.markers.seen_in(secret.encode())
    assert f"DATABASE_URL=postgresql://shop:{secret}@{address}:" in text
    standby = (scene.node("mb").data_directory / "postgresql.auto.conf").read_text()
    assert "passfile=" in standby
    assert story.watch.loose_files() == []
    assert any(path.suffix == ".bak" for path in story.watch.kept)
    assert "method=scram-sha-256" in scene.node("ma").log.read_text()
