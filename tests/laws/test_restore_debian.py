"""A restore of a server that Debian's pg_ctlcluster runs, its settings outside its data."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.laws import restore_scene
from tests.laws.outcome import Point
from tests.laws.restore_scene import Scene, assert_restored

pytestmark = pytest.mark.lab
_ETC = Path("/etc/postgresql/15")


@pytest.fixture(scope="module")
def debian(loopback_lab: LoopbackLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Hand an instance with its data over to Debian's tools, back it up and damage it."""
    scene = restore_scene.build(loopback_lab, "debian", tmp_path_factory.mktemp("debian"))
    name = f"debian-{loopback_lab.name}"
    settings = _ETC / name
    scene.node.stop()
    make = ["pg_createcluster", "15", name, "-d", scene.live, "--start-conf", "manual"]
    processes.run(make, mark=loopback_lab.name)
    try:
        with (settings / "postgresql.conf").open("a") as file:
            file.write(f"include '{scene.node.directory}/host.conf'\n")
        _pg_ctlcluster(scene, name, "start")
        scene.settings["service"] = {"kind": "pg_ctlcluster", "version": 15, "cluster": name}
        scene.back_up()
        yield scene
    finally:
        scene.node.stop("immediate")
        shutil.rmtree(settings)


def test_a_cluster_of_debian_s_tools_is_restored_and_runs_under_them(debian: Scene) -> None:
    assert not (debian.live / "postgresql.conf").exists()
    debian.damage()
    killed = debian.restore(at=Point("6"))
    assert killed.ended == "killed", killed.said
    outcome = debian.restore()
    assert outcome.completed, outcome.said
    assert_restored(debian)
    assert _status(debian) == "online"
    assert debian.node.psql("SHOW config_file").startswith(str(_ETC))
    assert debian.restore().changed == 0


def test_an_undo_brings_the_old_data_back_under_them(debian: Scene) -> None:
    debian.damage()
    before = debian.node.psql("SELECT count(*) FROM orders", database="shop")
    assert debian.restore(again=True).completed
    undone = debian.run("instance-restore-undo")
    assert undone.completed, undone.said
    assert debian.node.psql("SELECT count(*) FROM orders", database="shop") == before
    assert _status(debian) == "online"


def _status(debian: Scene) -> str:
    lines = processes.run(["pg_lsclusters", "--no-header"]).stdout.splitlines()
    rows = [line.split() for line in lines]
    (status,) = [row[3] for row in rows if row[5] == str(debian.live)]
    return status


def _pg_ctlcluster(debian: Scene, name: str, verb: str) -> None:
    argv = ["pg_ctlcluster", "15", name, verb]
    processes.run(argv, user="postgres", mark=debian.lab.name)
