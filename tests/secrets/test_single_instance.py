"""A single instance: its runbooks, good and bad runs, show no secret anywhere."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.lab.manager import Manager
from tests.lab.postgres import BIN_DIRECTORY, PASSWORD
from tests.lab.s3 import S3Server
from tests.laws.outcome import Outcome
from tests.secrets import covered, instance, new_orchestrator, orchestrator
from tests.secrets.instance import ROLE, Scene
from tests.secrets.markers import Markers
from tests.secrets.portal import Portal, served
from tests.secrets.sampler import Sampler
from tests.secrets.watch import Watch, files_under

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

BY_HAND = "backup_20240229233000"
CHANNELS = {
    *("argv of psql", "environ of sleep", "shell history", "server log", "shelf"),
    *("state directory", "output and logging of runs", "answer of base-backup"),
    *("report of run", "report of a period", "audit show"),
    *("audit export, CSV", "audit export, JSON"),
}


@dataclass
class Story:
    """What has happened before the tests look."""

    scene: Scene
    watch: Watch
    sampler: Sampler
    portal: Portal


@pytest.fixture(scope="module")
def story(
    loopback_lab: LoopbackLab, moto_s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    markers = Markers()
    base = tmp_path_factory.mktemp("hushed")
    with served(instance.portal_of(markers)) as portal:
        scene = instance.build(loopback_lab, "hushed", base, markers, portal, moto_s3)
        watch = instance.watch(scene, markers)
        with watch.sampling() as sampler, instance.managed(scene, markers) as manager:
            tell(scene, watch, portal)
            by_the_manager(scene, watch, manager)
        for bucket in ("hushed", f"hushed-{instance.VAULT}"):
            folder = instance.in_bucket(moto_s3, bucket, base / "fetched")
            watch.folders[f"store {bucket}"] = (folder,)
        yield Story(scene, watch, sampler, portal)
        scene.node.stop("immediate")


def tell(scene: Scene, watch: Watch, portal: Portal) -> None:
    """Run everything that there is for a single instance."""

    def done(runbook: str, **arguments: object) -> Outcome:
        return watch.done(runbook, scene.run(runbook, **arguments))

    done("base-backup", label="first")
    done("base-backup")
    done("verify-backup")
    done("prune", keep=1)
    by_hand(scene)
    done("adopt", backup=BY_HAND, destination="shelf")
    on_the_node(scene, watch)
    done("instance-restore")
    done("instance-restore-undo")
    done("discard-aside", stamp=stamp_of(scene))
    scene.local = True
    done("base-backup")
    done("instance-restore")
    scene.local = False
    done("logical-backup")
    done("verify-logical-backup")
    done("component-backup")
    done("health-check")
    done("component-restore", database="shop", source="store")
    orchestrator.run(scene, watch)
    new_orchestrator.run(scene, watch)
    of_the_platform(scene, watch)
    go_wrong(scene, watch, portal)


def by_the_manager(scene: Scene, watch: Watch, manager: Manager) -> None:
    """Run everything that goes through the Backup Manager, which once sends back what it got."""
    for runbook in ("managed-backup", "managed-restore", "backup-key"):
        watch.done(runbook, scene.run(runbook))
    assert manager.rows() == manager.backups[-1].content
    manager.token += "-of-another"
    refused = watch.keep("backup-key", scene.run("backup-key", again=True))
    assert "who is" in refused.said
    manager.password += "-of-another"
    refused = watch.keep("managed-backup", scene.run("managed-backup"))
    assert "does not accept" in refused.said


def of_the_platform(scene: Scene, watch: Watch) -> None:
    """Export and import through the platform's client; a document with a secret is refused."""
    platform = instance.exporting(scene)
    watch.folders["repository"] = (scene.base / "policy.git",)
    platform.put("policy", "auth.pol", "on auth::/ { { permit all } }\n")
    watch.done("policy-export", scene.run("policy-export"))
    platform.drop("policy", "auth.pol")
    watch.done("policy-import", scene.run("policy-import"))
    watch.done("installation-files-backup", scene.run("installation-files-backup"))
    for kind in ("package", "job"):
        platform.put(kind, "apcera/shop", "content\n")
        watch.done(f"{kind}-export", scene.run(f"{kind}-export"))
        platform.drop(kind, "apcera/shop")
        watch.done(f"{kind}-import", scene.run(f"{kind}-import"))
    for kind in ("package", "job"):
        platform.put(kind, "apcera/shop", "content\n")
    platform.put("policy", "auth.pol", "on auth::/ { { permit all } }\n")
    watch.done("platform-backup", scene.run("platform-backup"))
    watch.done("export-all", scene.run("export-all"))
    secret = watch.markers.secret("policy")
    platform.put("policy", "bad.pol", f'on auth::/ {{ password: "{secret}" }}\n')
    assert "bad.pol:1" in watch.keep("policy-export", scene.run("policy-export")).said
    partly = watch.keep("platform-backup", scene.run("platform-backup"))
    assert "failed: policy-export of" in partly.said


def by_hand(scene: Scene) -> None:
    """Take a backup without this software, to be adopted."""
    shelf = scene.base / "shelf" / scene.name
    shelf.mkdir(parents=True)
    target = scene.node.directory / BY_HAND
    where = ("-h", scene.node.host.address, "-U", "postgres", "-F", "tar", "-z", "-c", "fast")
    argv = (str(BIN_DIRECTORY / "pg_basebackup"), *where, "-D", str(target))
    processes.run(argv, user="postgres", env={"PGPASSWORD": PASSWORD})
    processes.run(["mv", target, shelf])


def on_the_node(scene: Scene, watch: Watch) -> None:
    """Take a backup in the page's format, by pg_basebackup on the node."""
    kept = scene.cluster
    scene.cluster = {**kept, "backups": {"store": "node", "format": "page"}}
    watch.done("base-backup", scene.run("base-backup"))
    scene.cluster = kept


def stamp_of(scene: Scene) -> str:
    (undone,) = scene.live.parent.glob("main.undone-*")
    return undone.name.rpartition("-")[2]


def go_wrong(scene: Scene, watch: Watch, portal: Portal) -> None:
    """Fail in each way that has to do with a secret: what is told then is told of secrets."""
    kept, secret = scene.cluster, scene.password
    scene.password = watch.markers.secret("wrong password")
    refused = watch.keep("base-backup", scene.run("base-backup"))
    assert not refused.completed
    scene.password = secret
    portal.broken = True
    sick = watch.keep("health-check", scene.run("health-check"))
    assert sick.ended == "CheckFailed", sick.said
    portal.broken = False
    assert scene.stores is not None
    stores = scene.stores
    lost = {**stores["store"]["location"], "endpoint_url": "http://127.0.0.1:9", "patience": 0.1}
    scene.stores = {**stores, "store": {**stores["store"], "location": lost}}
    gone = watch.keep("base-backup", scene.run("base-backup"))
    assert not gone.completed
    scene.stores, scene.cluster = stores, kept


def test_no_secret_is_seen_anywhere(story: Story) -> None:
    assert story.watch.findings(story.sampler) == {}


def test_everything_was_run_and_looked_at(story: Story) -> None:
    """The search would find nothing, too, if nothing had happened."""
    assert set(story.watch.ran) == covered.SINGLE_INSTANCE
    assert story.portal.calls > 10
    assert story.sampler.rounds > 200
    assert {"postgres", "sshd", "sh", "pg_basebackup", "pg_ctl"} <= story.sampler.programs
    assert f"user={ROLE}" in story.scene.node.log.read_text()


def test_files_that_must_hold_a_secret_are_for_their_owner_alone(story: Story) -> None:
    assert story.watch.loose_files() == []


def test_a_secret_would_be_seen_in_each_channel(
    story: Story, tmp_path: Path, moto_s3: S3Server
) -> None:
    """Plant one: in what a run is told, in processes, and in files that nothing here writes."""
    scene, watch = story.scene, story.watch
    planted = watch.markers.secret("planted")
    with watch.sampling() as sampler:
        watch.keep("base-backup", scene.run("base-backup", label=planted, reason=planted))
        watch.keep("verify-backup", scene.run("verify-backup", backup=planted))
        scene.node.tool("psql", "-XAtqc", f"SELECT pg_sleep(2), '{planted}'")
        processes.run(["sleep", "2"], env={"TOLD": planted})
    (tmp_path / ".psql_history").write_text(f"ALTER ROLE x PASSWORD '{planted}';")
    hidden = base64.b64encode(f"x:{planted}".encode()).decode()
    (scene.base / "shelf" / "encoded").write_text(hidden)
    (scene.base / "shelf" / "encoded.hex").write_text(planted.encode().hex())
    seen = replace(watch, homes=(tmp_path,)).findings(sampler)
    found = {re.split(r": | [0-9a-f]{32}", channel)[0] for channel in seen}
    folder = instance.in_bucket(moto_s3, f"hushed-{instance.VAULT}", tmp_path / "again")
    assert found >= CHANNELS, CHANNELS - found
    assert any(watch.markers.seen_in(path.read_bytes()) for path in files_under(folder))
    assert {"shelf: encoded", "shelf: encoded.hex"} <= {
        f"{channel.split(':')[0]}: {Path(channel).name}" for channel in seen
    }
