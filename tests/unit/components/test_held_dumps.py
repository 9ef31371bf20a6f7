"""Dumps that restores hold: each run takes its own mark away, and none stands for ever."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.unit.components import pieces


def test_a_dump_is_held_until_the_last_run_has_released_it(tmp_path: Path) -> None:
    there, made = pieces.catalogue(tmp_path), pieces.dump()
    pieces.lay(there, made)
    there.hold("component", made.id, "one")
    there.hold("component", made.id, "two")
    assert there.holders("component", made.id) == ("one", "two")
    there.release("component", made.id, "one")
    there.release("component", made.id, "stranger")
    assert list(there.look("component").held) == [made.id]
    there.release("component", made.id, "two")
    assert there.look("component").held == {}
    assert [dump.id for dump in there.sound("component")] == [made.id]


def test_a_mark_of_long_ago_holds_nothing_and_goes_with_its_dump(tmp_path: Path) -> None:
    there, made = pieces.catalogue(tmp_path), pieces.dump()
    pieces.lay(there, made)
    there.hold("component", made.id, "killed")
    long_ago = time.time() - 8 * 24 * 3600
    os.utime(tmp_path / there.key("component", made.id, "held"), (long_ago, long_ago))
    assert there.look("component").held == {}
    (files,) = there.found("component")
    there.remove(files)
    assert list(there.store.list("")) == []
