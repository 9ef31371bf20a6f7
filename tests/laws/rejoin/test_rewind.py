"""A rewind that was interrupted, or cannot be: no half of it is ever taken for a data directory."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab import processes
from tests.lab.postgres import PostgresNode
from tests.lab.repmgr import configuration
from tests.laws.outcome import Point
from tests.laws.rebuild_troubles import assert_nothing_left, own_line
from tests.laws.rejoin.old_primary import ALONE, assert_back, hand_over, kept, marked, rejoin
from tests.laws.replication_scene import Scene

pytestmark = pytest.mark.lab


@contextmanager
def killed_in_the_rewind(scene: Scene, old: PostgresNode) -> Iterator[None]:
    """Kill a rejoin while pg_rewind works; after the block, pg_rewind is as quick as ever."""
    before = configuration(old).read_text()
    begun = slow_rewind(old)
    running = scene.runner.start("rejoin", cluster=scene.name, node="ja")
    processes.until(begun.exists, "pg_rewind has begun", within=60)
    os.kill(running.pid, signal.SIGKILL)
    assert running.outcome().ended == "killed"
    yield
    configuration(old).write_text(before)


def test_a_rewind_that_was_interrupted_is_no_data_directory_and_is_cloned(healthy: Scene) -> None:
    old = hand_over(healthy, alone=ALONE)
    own = own_line(old).read_text()
    with killed_in_the_rewind(healthy, old):
        time.sleep(0.1)
        assert_nothing_left(healthy, old)
    killed = rejoin(healthy, at=Point("5", 3))
    assert killed.ended == "killed", killed.said
    done = rejoin(healthy)
    assert done.completed, done.said
    assert_back(healthy)
    assert (old.data_directory / "postgresql.conf").read_text() == own
    assert len(kept(old)) == len(healthy.aside(old)) == 1


def test_a_standby_rebuild_after_an_interrupted_rewind_keeps_what_was_the_nodes_own(
    healthy: Scene,
) -> None:
    old, new = hand_over(healthy, alone=ALONE), healthy.node("jb")
    own = own_line(old).read_text()
    with killed_in_the_rewind(healthy, old):
        theirs = (new.data_directory / "postgresql.conf").read_text()
    (old.data_directory / "postgresql.conf").write_text(theirs)  # as pg_rewind leaves it
    done = healthy.run("standby-rebuild", standby="ja")
    assert done.completed, done.said
    assert_back(healthy)
    assert (old.data_directory / "postgresql.conf").read_text() == own


def test_the_primarys_mark_that_pg_rewind_copies_ends_no_rewind(healthy: Scene) -> None:
    old, new = hand_over(healthy, alone=ALONE), healthy.node("jb")
    own = own_line(old).read_text()
    marked(new)
    with killed_in_the_rewind(healthy, old):
        theirs = (new.data_directory / "postgresql.conf").read_text()
    (old.data_directory / "postgresql.conf").write_text(theirs)
    marked(old)
    done = rejoin(healthy)
    assert done.completed, done.said
    assert_back(healthy)
    assert (old.data_directory / "postgresql.conf").read_text() == own
    assert len(healthy.aside(old)) == 1, "half a rewind is cloned, not rewound once more"


def slow_rewind(node: PostgresNode) -> Path:
    """Let repmgr on a node run a pg_rewind that stays at work for long; give what shows it."""
    programs, begun = node.directory / "programs", node.directory / "log" / "rewind-begun"
    programs.mkdir()
    for path in node.bin_directory.iterdir():
        (programs / path.name).symlink_to(path)
    (programs / "pg_rewind").unlink()
    real = node.bin_directory / "pg_rewind"
    script = f'#!/bin/sh\n{real} "$@" --dry-run || exit 1\ntouch {begun}\nexec sleep 60\n'
    (programs / "pg_rewind").write_text(script)
    (programs / "pg_rewind").chmod(0o755)
    file = configuration(node)
    file.write_text(file.read_text().replace(str(node.bin_directory), str(programs)))
    return begun


def test_what_cannot_be_rewound_is_cloned_and_its_data_set_aside(healthy: Scene) -> None:
    old = healthy.node("ja")
    old.psql("ALTER SYSTEM SET wal_log_hints = off")
    old.stop()
    old.tool("pg_checksums", "--disable", "-D", old.data_directory)
    old.start()
    hand_over(healthy, alone=ALONE)
    with healthy.unchanged():
        refused = rejoin(healthy, method="rewind")
    assert refused.ended == "Refused", refused.said
    assert "cannot be rewound" in refused.said
    ended = rejoin(healthy, at=Point("5", 4, signal=signal.SIGTERM))
    assert ended.ended == "_Terminated", ended.said
    assert_nothing_left(healthy, old)
    assert healthy.aside(old) == []
    done = rejoin(healthy)
    assert done.completed, done.said
    assert_back(healthy)
    assert len(healthy.aside(old)) == 1
