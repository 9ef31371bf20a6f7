"""Two Orchestrators never live: what proves that the old one is off, and what does not."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.lab import orchestrator
from tests.lab.loopback import LoopbackLab
from tests.lab.ssh import create_key
from tests.laws import inventory
from tests.laws.orchestrator_restore.judged import SAW, recorded, refused, whole
from tests.laws.orchestrator_restore_scene import Moving
from tests.laws.outcome import Point

pytestmark = pytest.mark.lab


def test_two_orchestrators_never_live(scene: Moving, backups: dict[str, str]) -> None:
    chosen = {"backup": backups["automated"]}
    scene.before.node.host.stop_ssh()
    refused(scene, "nobody answers there", **chosen)
    refused(scene, "nobody answers in the name", old_is_off=SAW, **chosen)
    scene.previous = {"address": scene.node.host.address}
    with_address = {**chosen, "new_address": False}
    refused(
        scene, f"{scene.before.node.host.address}:{scene.node.port}", old_is_off=SAW, **with_address
    )
    scene.previous = {}
    scene.before.node.stop()
    outcome = scene.restore(old_is_off=SAW, **chosen)
    assert outcome.completed, outcome.said
    assert orchestrator.fingerprint(scene.node) == scene.kept
    assert any(entry["event"] == "statement" for entry in outcome.record)
    scene.before.node.start()
    back = scene.restore(**chosen)
    assert back.ended == "CheckFailed"
    assert "whatever was said" in back.said
    scene.before.node.host.start_ssh()
    assert scene.restore(**chosen).completed
    assert scene.is_retired()


def test_the_way_into_the_old_one_must_lead_to_it(scene: Moving, backups: dict[str, str]) -> None:
    chosen = {"backup": backups["automated"]}
    new = {"data_directory": str(scene.node.data_directory), "port": scene.node.port}
    scene.previous = {**new, "socket_directory": str(scene.node.socket_directory)}
    refused(scene, "leads to the new one", **chosen)
    scene.previous = {"data_directory": "/nowhere"}
    refused(scene, "leads to the new one", **chosen)
    refused(scene, "nobody answers in the name", old_is_off=SAW, **chosen)
    scene.previous = {"data_directory": str(scene.home)}
    refused(scene, "no readable database system", old_is_off=SAW, **chosen)
    scene.previous, scene.orchestrator = {}, {"database": "another"}
    with recorded(scene, backups["automated"], system_identifier="1", database="another"):
        refused(scene, "is an Orchestrator", **chosen)
    assert scene.node.is_running()


def test_a_machine_that_answers_is_not_off_whatever_is_said(
    scene: Moving, backups: dict[str, str], loopback_lab: LoopbackLab
) -> None:
    """Who lets nobody in, or shows another key, lives; its PostgreSQL may have no port at all."""
    chosen = {"backup": backups["automated"], "old_is_off": SAW}
    host = inventory.server(scene.before.node)["host"]
    stranger = loopback_lab.directory / "stranger"
    if not stranger.exists():
        create_key(stranger)
    for changed in ({"key_file": str(stranger)}, {"known_hosts": "/nowhere"}):
        scene.previous = {"port": 1, "host": {**host, "way": {**host["way"], **changed}}}
        refused(scene, "a machine answers there, and lets nobody in", **chosen)


def test_a_stopped_server_is_not_the_old_orchestrator_unless_a_person_says_so(
    scene: Moving, backups: dict[str, str]
) -> None:
    """Though its system is the backup's: each VM of an image has the same."""
    chosen = {"backup": backups["automated"]}
    scene.before.node.stop()
    outcome = scene.restore(**chosen)
    assert outcome.ended == "CheckFailed", outcome.said
    assert "its server is stopped" in outcome.said
    assert outcome.commands == []
    assert scene.restore(dry_run=True, old_is_off=SAW, **chosen).completed
    scene.before.node.start()
    assert scene.restore(at=Point("5"), **chosen).ended == "killed"
    assert scene.restore(dry_run=True, **chosen).completed, "this one was seen at work"
    scene.previous = {"host": inventory.host(scene.before.node.host, "root")}
    other = scene.restore(dry_run=True, **chosen)
    assert "its server is stopped" in other.said, "and another was not"


def test_what_no_stop_can_mend_is_found_before_anything_is_stopped(
    scene: Moving, backups: dict[str, str], loopback_lab: LoopbackLab
) -> None:
    """A server of another directory; SSH at an address that the machine does not know of."""
    chosen = {"backup": backups["automated"]}
    scene.previous = {"shared": False}
    refused(scene, "no PostgreSQL server of another data directory runs", **chosen)
    floating = f"{loopback_lab.name}.0.9"
    scene.previous = {"address": floating}
    with ssh_at(floating):
        refused(scene, "no other machine than orch-old answers in its name", **chosen)


@contextmanager
def ssh_at(address: str) -> Iterator[None]:
    """Let somebody take connections at SSH's port, unless one does so at every address."""
    with ExitStack() as opened:
        try:
            opened.enter_context(socket.create_server((address, 22)))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        yield


def test_what_an_image_has_backed_up_of_itself_is_not_restored_onto_it(
    scene: Moving, backups: dict[str, str]
) -> None:
    """It has a backup where the new one stood as the cluster's node, before it was restored."""
    chosen = {"backup": backups["automated"]}
    system = scene.node.psql("SELECT system_identifier FROM pg_control_system()")
    itself = {"node": scene.node.name, "system_identifier": system}
    with recorded(scene, backups["automated"], **itself):
        refused(scene, "is not of orch-new itself", **chosen)


def test_an_old_one_whose_name_is_gone_hinders_only_who_has_not_proven_it_off(
    scene: Moving, backups: dict[str, str]
) -> None:
    chosen = {"backup": backups["automated"]}
    host = inventory.server(scene.before.node)["host"]
    gone = {"host": {**host, "way": {**host["way"], "address": "nobody.invalid"}}}
    scene.previous = gone
    refused(scene, "Put its IP address into", old_is_off=SAW, **chosen)
    scene.previous = {}
    assert scene.restore(**chosen).completed
    scene.previous = gone
    scene.rebooted()
    again = scene.restore(**chosen)
    assert again.completed, again.said
    assert scene.assets.exists()


def test_the_address_of_before_is_insisted_on_unless_a_person_says_otherwise(
    scene: Moving, backups: dict[str, str]
) -> None:
    chosen = {"backup": backups["automated"], "new_address": False}
    refused(scene, "has the address of the old Orchestrator", **chosen)
    scene.previous = {"address": scene.node.host.address}
    outcome = scene.restore(**chosen)
    assert outcome.completed, outcome.said
    whole(scene, backups["automated"])
