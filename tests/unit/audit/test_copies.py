"""Copies of the record in a store: complete, in pieces, never in the way of a run."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from runbook.audit import AuditTrail
from runbook.audit.comparison import compared
from runbook.audit.index import RunsIndex
from runbook.audit.mirror import Mirror
from runbook.audit.mirroring import mirrored
from runbook.audit.settings import AuditCopy
from runbook.errors import Damaged
from runbook.stores import FolderStore, StoreSecret
from tests.unit.audit.scene import History


def copy_in(history: History, folder: Path) -> Mirror:
    store = FolderStore(path=str(folder))
    settings = AuditCopy(store="vault", worker="w1")
    return Mirror(history.audit, settings, lambda: store.open(StoreSecret(), None))


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return tmp_path / "vault"


def lines_of(vault: Path, folder: str) -> bytes:
    pieces = sorted((vault / "audit/w1" / folder).glob("*.jsonl"))
    return b"".join(piece.read_bytes() for piece in pieces)


def test_every_record_and_the_index_are_in_the_store(history: History, vault: Path) -> None:
    mirror = copy_in(history, vault)
    history.small()
    mirror.expect("first", "refused", "waited", "last")
    mirror.catch_up()
    for run in ("first", "refused", "waited", "last"):
        assert lines_of(vault, f"runs/{run}") == history.record(run).read_bytes()
    assert lines_of(vault, "index") == RunsIndex(history.audit).path.read_bytes()
    assert mirror.waiting() == []
    assert list(compared(mirror)) == []


def test_a_run_is_copied_while_it_goes_on(history: History, vault: Path) -> None:
    mirror = copy_in(history, vault)
    with mirrored(mirror, "long"):
        trail = AuditTrail(history.record("long"))
        trail.write("start", runbook="r", cluster="c", requested_by="x")
        mirror.catch_up()
        assert lines_of(vault, "runs/long") == history.record("long").read_bytes()
        assert mirror.waiting() == ["long"]
        trail.write("end", outcome="completed", changed=0)
        trail.close()
    assert lines_of(vault, "runs/long") == history.record("long").read_bytes()
    assert len(list((vault / "audit/w1/runs/long").iterdir())) == 2
    assert mirror.waiting() == []


def test_a_store_that_fails_stops_nothing_and_is_caught_up(
    history: History, vault: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vault.write_text("not a folder")
    mirror = copy_in(history, vault)
    with caplog.at_level(logging.WARNING, logger="runbook"), mirrored(mirror, "first"):
        history.run("first")
    assert "the audit record is not copied" in caplog.text
    assert mirror.waiting() == ["first"]
    vault.unlink()
    with mirrored(mirror, "second"):
        history.run("second")
    assert mirror.waiting() == []
    for run in ("first", "second"):
        assert lines_of(vault, f"runs/{run}") == history.record(run).read_bytes()


def test_a_copying_that_died_between_store_and_queue_goes_on(history: History, vault: Path) -> None:
    mirror = copy_in(history, vault)
    history.run("first")
    mirror.expect("first")
    mirror.catch_up()
    shutil.rmtree(mirror.queue)
    history.run("second")
    mirror.expect("first", "second")
    mirror.catch_up()
    assert list(compared(mirror)) == []
    assert lines_of(vault, "index") == RunsIndex(history.audit).path.read_bytes()


def test_what_was_changed_here_is_placed_by_the_copy(history: History, vault: Path) -> None:
    """A whole forged history, index and all: only the copy tells."""
    mirror = copy_in(history, vault)
    history.run("first")
    mirror.expect("first")
    mirror.catch_up()
    record = history.record("first")
    record.write_bytes(record.read_bytes().replace(b"alice", b"mallo"))
    found = [(each.level, each.run, each.line) for each in compared(mirror)]
    assert found == [("broken", "first", 6)]
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:3]))
    assert [each.line for each in compared(mirror)] == [4]
    record.unlink()
    assert "missing here" in next(compared(mirror)).what
    mirror.expect("first")
    record.write_bytes(b'{"event":"forged"}\n')
    with pytest.raises(Damaged, match="is not what stands here"):
        mirror.catch_up()


def test_what_is_not_copied_yet_is_told_and_no_break(history: History, vault: Path) -> None:
    mirror = copy_in(history, vault)
    history.run("first")
    mirror.expect("first")
    mirror.catch_up()
    history.run("second")
    told = {(each.level, each.what) for each in compared(mirror)}
    assert told == {
        ("open", "2 lines are not copied yet"),
        ("open", "the store has nothing of it yet"),
    }
