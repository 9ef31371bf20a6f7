"""component-restore where standbys follow: who reads there, and whether they have room."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.lab import judge, processes, split, trouble
from tests.lab.loopback import LoopbackLab
from tests.laws import component_scene
from tests.laws.component_scene import Scene

pytestmark = pytest.mark.lab

COUNT = "SELECT count(*) FROM public.users"


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Scene:
    """Build the pair once."""
    return component_scene.build(loopback_lab, "cg", "ch", rows=500)


@pytest.fixture
def pair(built: Scene) -> Iterator[Scene]:
    """The pair with a dump of each database, written to since."""
    built.empty()
    built.back_up()
    built.first.psql("DELETE FROM public.users WHERE id > 400", database="component")
    built.replayed()
    yield built
    built.settled()


def restore(pair: Scene) -> None:
    """Restore the component database, which must succeed."""
    outcome = pair.run("component-restore", database="component", again=True)
    assert outcome.completed, outcome.said


def test_who_reads_the_old_database_on_a_standby_is_ended_and_finds_the_new_one(
    pair: Scene,
) -> None:
    """A rename is no conflict for the replay: without help it would be read for ever."""
    standby = pair.nodes[1]
    with (
        psycopg.connect(standby.conninfo("component"), autocommit=True) as reader,
        psycopg.connect(standby.conninfo("zabbix"), autocommit=True) as other,
    ):
        standing = reader.execute(COUNT).fetchone()
        assert standing == (400,)
        restore(pair)
        with pytest.raises(psycopg.OperationalError):
            reader.execute(COUNT)
        assert other.execute("SELECT 1").fetchone() == (1,)
    assert standby.psql(COUNT, database="component") == "500"
    with pair.lab.unchanged(*pair.nodes, scripts=component_scene.READING):
        second = pair.run("component-restore", database="component")
    assert (second.ended, second.changed) == ("completed", 0), second.said


def test_a_standby_that_replays_later_is_told_with_what_ends_its_readers(
    pair: Scene, tmp_path: Path
) -> None:
    standby, log = pair.nodes[1], tmp_path / "log"
    telling = replace(pair.runner, log=log)
    with split.replay_paused(standby):
        outcome = telling.run(
            "component-restore", cluster=pair.name, database="component", again=True
        )
        assert outcome.completed, outcome.said
    said = next(line for line in log.read_text().splitlines() if "not replayed it yet" in line)
    assert standby.name in said
    assert "pg_terminate_backend" in said
    aside = pair.first.psql("SELECT max(datname) FROM pg_database WHERE datname ~ '_aside_'")
    assert f"'{aside}'" in said


def test_a_standby_without_room_for_what_it_replays_is_refused_by_name(pair: Scene) -> None:
    first, standby = pair.nodes
    standby.stop()
    with trouble.small_disk(standby, free=300 << 20):
        standby.start()
        processes.until(lambda: bool(judge.streaming(first, [standby])), "it streams")
        space = os.statvfs(standby.directory)
        record = next((pair.folder() / "component").glob("*.json"))
        known = json.loads(record.read_text())
        known["database_size"] = space.f_bavail * space.f_frsize
        record.write_text(json.dumps(known))
        outcome = pair.run("component-restore", database="component", again=True)
        assert outcome.ended == "CheckFailed", outcome.said
        assert f"room on {standby.directory} of {standby.name} beside the old ones" in outcome.said
        assert outcome.commands == []
    standby.start()
