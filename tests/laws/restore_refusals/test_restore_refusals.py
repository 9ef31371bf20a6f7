"""Settings and servers that do not fit: refused before the first change, with what to do next."""

from __future__ import annotations

import shutil
import signal

import pytest

from tests.lab import processes, ssh
from tests.laws.outcome import Point
from tests.laws.restore_refusals.refusal import refused
from tests.laws.restore_scene import Scene

pytestmark = pytest.mark.lab


def test_an_unknown_cluster_is_refused(shop: Scene) -> None:
    outcome = shop.runner.run("instance-restore", cluster="shoe")
    assert outcome.ended == "SettingsError"
    assert "there is no cluster 'shoe'" in outcome.said
    assert shop.name in outcome.said


def test_an_unknown_backup_is_refused(shop: Scene) -> None:
    refused(shop, "there is no backup 'backup_20000101000000'", backup="backup_20000101000000")
    refused(shop, "there is no backup '../../etc'", backup="../../etc")


@pytest.mark.parametrize(
    ("directory", "said"),
    [
        ("/", "cannot be a data directory"),
        ("relative/path", "cannot be a data directory"),
        ("/var/lib/../lib/x", "cannot be a data directory"),
        ("/usr/lib", "the data directory is PostgreSQL's, or empty"),
    ],
)
def test_what_cannot_be_the_data_directory_is_refused(
    shop: Scene, directory: str, said: str
) -> None:
    shop.settings["data_directory"] = directory
    refused(shop, said)


def test_the_data_directory_of_another_server_is_refused(shop: Scene) -> None:
    other = shop.node.directory / "other"
    processes.run(["cp", "-a", shop.live, other])
    (other / "postmaster.pid").unlink()
    shop.settings["data_directory"] = str(other)
    try:
        refused(shop, "is the one of the data directory")
    finally:
        shutil.rmtree(other)


def test_a_data_directory_of_another_owner_is_refused(shop: Scene) -> None:
    other = shop.node.directory / "other"
    other.mkdir(mode=0o755)
    shop.settings["data_directory"] = str(other)
    try:
        refused(shop, "it belongs to postgres")
    finally:
        other.rmdir()


def test_a_wrong_tablespace_map_is_refused(shop: Scene) -> None:
    refused(shop, "cannot read the tablespace mapping", tablespace_map="cold")
    refused(shop, "has no tablespace in /nowhere", tablespace_map="/nowhere=/tmp/x")
    cold = shop.node.tablespaces["cold"]
    refused(shop, "is free for tablespace", tablespace_map=f"{cold}={shop.node.directory}")


def test_a_tablespace_directory_of_another_server_is_refused(shop: Scene) -> None:
    other = shop.lab.postgres("neighbour", tablespaces=["theirs"])
    try:
        mapping = f"{shop.node.tablespaces['cold']}={other.tablespaces['theirs']}"
        refused(shop, "is free for tablespace", tablespace_map=mapping)
        oid = next((other.data_directory / "pg_tblspc").iterdir())
        oid.unlink()
        oid.symlink_to(shop.node.tablespaces["cold"])
        assert "a server that runs there" in refused(shop, "no other server").said
    finally:
        other.stop("immediate")


def test_a_wrong_host_key_is_refused(shop: Scene) -> None:
    known = shop.base / "known_hosts"
    ssh.create_key(shop.base / "another")
    public = (shop.base / "another.pub").read_text().split()[:2]
    where = f"[{shop.node.host.address}]:{shop.node.host.ssh_port}"
    known.write_text(f"{where} {' '.join(public)}\n")
    way = {**shop.node.host.way(), "known_hosts": str(known)}
    shop.settings["host"] = {"name": "bad", "way": way}
    refused(shop, "another SSH host key")


def test_an_unreachable_host_is_refused(shop: Scene) -> None:
    with shop.lab.trouble.unreachable(shop.node.host):
        assert refused(shop, "cannot reach").ended == "HostUnreachable"


def test_without_a_data_directory_in_the_settings_a_dead_server_cannot_be_found(
    shop: Scene,
) -> None:
    shop.settings |= {"data_directory": ""}
    with shop.lab.trouble.killed(shop.node):
        outcome = shop.restore()
    assert "has no data_directory in its settings" in outcome.said
    assert "Set data_directory" in outcome.said


def test_a_second_run_at_once_is_refused(shop: Scene) -> None:
    first = shop.runner.start(
        "instance-restore",
        cluster=shop.name,
        backup=shop.backup,
        answer="refuse",
        at=Point("2", 3, signal=signal.SIGSTOP),
    )
    try:
        first.halted()
        outcome = shop.restore()
        assert outcome.ended == "Held"
        assert "another run holds" in outcome.said
        assert shop.node.is_running()
    finally:
        first.send(signal.SIGCONT)
        assert first.outcome().ended == "RefusedByPerson"
    assert shop.leftovers() == []
