"""Through a real server and worker: no secret in the API, in logs, in files, in any process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from tests.lab.s3 import S3Server
from tests.secrets import control_room, covered, instance
from tests.secrets.control_room import Scene
from tests.secrets.markers import Markers
from tests.secrets.portal import Portal, served
from tests.secrets.sampler import Sampler

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]


@dataclass
class Story:
    """What has happened before the tests look."""

    scene: Scene
    sampler: Sampler
    portal: Portal


@pytest.fixture(scope="module")
def story(moto_s3: S3Server) -> Iterator[Story]:
    markers = Markers()
    with (
        served(instance.portal_of(markers)) as portal,
        control_room.opened("hush", markers, portal, moto_s3) as scene,
        scene.watch.sampling() as sampler,
    ):
        tell(scene, portal)
        scene.ask()
        yield Story(scene, sampler, portal)


def tell(scene: Scene, portal: Portal) -> None:
    """Apply the settings, back up, restore and look at the health, well and ill."""
    for words in (("apply", scene.inventory), ("register",)):
        assert scene.command(*words) == 0, scene.said()
    key = str(scene.home.folder / control_room.KEY)
    answer = ("--approve-by", control_room.PERSON, "--reason", "a drill", "--key", key)
    approval = (*answer, "--confirm", scene.cluster)
    assert scene.run("base-backup", "--go") == 0, scene.said()
    assert scene.run("instance-restore", "--go", *approval) == 0, scene.said()
    assert scene.run("health-check", "--go") == 0, scene.said()
    portal.broken = True
    assert scene.run("health-check", "--go") != 0, scene.said()
    for words in (("backups",), ("check",)):
        scene.command(*words)


def test_no_secret_is_seen_anywhere(story: Story) -> None:
    assert story.scene.watch.findings(story.sampler) == {}


def test_everything_was_run_and_answered(story: Story) -> None:
    """The search would find nothing, too, if nothing had happened."""
    watch = story.scene.watch
    assert set(watch.ran) == covered.CONTROL_ROOM
    said = b"".join(content for channel, content in watch.answers if channel.startswith("API"))
    for word in (b"health-check", b"replication_password", b"totp", b"prefect.flow-run", b"pg_ctl"):
        assert word in said
    assert story.portal.calls > 5
    assert b"DEBUG" in story.scene.log.read_bytes()


def test_a_secret_would_be_seen_in_each_answer(story: Story) -> None:
    """Plant one in everything that the server keeps and tells."""
    watch = story.scene.watch
    planted = watch.markers.secret("planted")
    with httpx.Client(base_url=story.scene.api, timeout=60) as client:
        (run, *_) = client.post("/flow_runs/filter", json={"limit": 1}).json()
        at = datetime.now(UTC).isoformat()
        log = {"name": "law", "level": 20, "message": planted, "timestamp": at}
        event = {
            "id": str(uuid4()),
            "occurred": at,
            "event": "planted",
            "resource": {"prefect.resource.id": planted},
        }
        state = {"type": "COMPLETED", "message": planted}
        wanted = [
            ("logs/", [{**log, "flow_run_id": run["id"]}]),
            ("artifacts/", {"key": "planted", "type": "markdown", "data": planted}),
            ("variables/", {"name": "planted", "value": planted}),
            ("events", [event]),
            (f"flow_runs/{run['id']}/set_state", {"state": state, "force": True}),
        ]
        for path, content in wanted:
            assert client.post(f"/{path}", json=content).status_code < 300, path
    known = len(watch.answers)
    channels = {"logs", "artifacts", "variables", "events", "states", "runs"}
    for _ in range(20):
        story.scene.ask()
        seen = {
            channel.removeprefix("API: ")
            for channel, content in watch.answers[known:]
            if watch.markers.seen_in(content)
        }
        if seen >= channels:
            break
    assert seen >= channels
