"""The laws of DESIGN section 4 for backup-key."""

from __future__ import annotations

import json
import signal

import pytest

from tests.laws.managed_scene import KEY, OLD_KEY, TOKEN, Scene
from tests.laws.outcome import Outcome, Point

pytestmark = pytest.mark.lab

PATCH = "PATCH /v1/instances/a9s-pg/backups-config"


def give(scene: Scene, **arguments: object) -> Outcome:
    return scene.run("backup-key", **arguments)


def fingerprint(outcome: Outcome) -> str:
    assert outcome.plan is not None
    (fact,) = [fact.value for fact in outcome.plan.facts if fact.name == "key"]
    return fact.rpartition(" ")[2]


def keys(scene: Scene) -> list[str]:
    """Give the keys that the API was given."""
    return [json.loads(body)["encryption_key"] for body in scene.manager.keys]


def test_a_dry_run_sets_nothing_and_shows_the_way_but_no_key(scene: Scene) -> None:
    with scene.unchanged():
        outcome = give(scene, dry_run=True)
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    assert scene.manager.requests == []
    shown = outcome.plan.markdown()
    assert "/var/vcap/jobs/anynines-backup-manager/bin/rails_c" in shown
    assert f"{scene.manager.url}/v1/instances/a9s-pg/backups-config" in shown
    assert len(fingerprint(outcome)) == 8
    for secret in (KEY, OLD_KEY, TOKEN, TOKEN.split()[1]):
        assert secret not in outcome.plan.model_dump_json()


def test_the_key_is_set_once_and_another_one_again(scene: Scene) -> None:
    first = give(scene)
    assert first.completed, first.said
    assert keys(scene) == [KEY]
    assert give(scene).changed == 0
    assert keys(scene) == [KEY]
    scene.cluster = {"logical": {"store": "store", "guid": "ffa4", "key": "old"}}
    other = give(scene)
    assert other.completed, other.said
    assert keys(scene) == [KEY, OLD_KEY]
    assert fingerprint(other) != fingerprint(first)
    assert give(scene, again=True).changed == 1


@pytest.mark.parametrize("point", [Point("2"), Point("4", 1), Point("4")], ids=str)
def test_killed_or_cancelled_and_started_again_it_finishes(scene: Scene, point: Point) -> None:
    killed = give(scene, at=point)
    assert killed.ended == "killed"
    cancelled = give(scene, at=Point(point.step, signal=signal.SIGTERM))
    assert cancelled.ended == "_Terminated"
    outcome = give(scene)
    assert outcome.completed, outcome.said
    assert set(keys(scene)) == {KEY}
    assert give(scene).changed == 0


def test_an_api_that_is_away_for_a_while_gets_the_key_all_the_same(scene: Scene) -> None:
    scene.manager.faults = {PATCH: ["500", "lost"]}
    outcome = give(scene)
    assert outcome.completed, outcome.said
    assert keys(scene) == [KEY, KEY]


def test_bad_settings_are_refused_and_an_echo_shows_no_secret(scene: Scene) -> None:
    scene.environment = {"KEY": "too short"}
    assert "fewer than 16" in give(scene).said
    scene.environment = {"TOKEN": "bearer of nothing"}
    refused = give(scene)
    assert "does not accept the credentials" in refused.said
    assert "of nothing" not in refused.said
    scene.environment = {}
    assert give(scene, answer="refuse").ended == "RefusedByPerson"
    scene.cluster = {"service_api": None}
    assert give(scene).ended == "SettingsError"
    assert keys(scene) == []
