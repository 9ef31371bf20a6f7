"""Loads that fail, or say that they have not; and what changes between two steps."""

from __future__ import annotations

import signal
from collections.abc import Callable

import psycopg
import pytest

from tests.lab import orchestrator
from tests.lab.loopback import LoopbackLab
from tests.laws.orchestrator_restore.judged import BEFORE, ROW, SAID, refused
from tests.laws.orchestrator_restore_scene import Moving
from tests.laws.outcome import Point

pytestmark = pytest.mark.lab


def test_a_program_that_fails_is_told_and_a_session_in_the_database_is_told_and_ended(
    scene: Moving, backups: dict[str, str]
) -> None:
    chosen = {"backup": backups["automated"]}
    scene.behaves(f'[ "$1" != deploy ] || {{ cat {scene.config} >&2; exit 3; }}; "$real" "$@"')
    with psycopg.connect(scene.node.conninfo(orchestrator.DATABASE)) as session:
        session.execute("LOCK TABLE as_delivered")
        assert "1 sessions, which are ended" in str(scene.restore(dry_run=True, **chosen).plan)
        outcome = scene.restore(**chosen)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert outcome.ended == "CommandFailed"
    assert "ended with exit code 3" in outcome.said
    assert '"secret_key": "***"' in outcome.said


def test_a_load_that_ends_well_and_is_not_whole_is_found(
    scene: Moving, backups: dict[str, str]
) -> None:
    chosen = {"backup": backups["automated"]}
    after = '"$real" "$@" || exit 1; [ "$1" != restore ] || '
    scene.behaves(after + scene.by_psql("DELETE FROM nodes WHERE name = 'node-1'"))
    partial = scene.restore(**chosen)
    assert partial.ended == "CheckFailed", partial.said
    assert "public.nodes has 199 rows of 200" in partial.said
    scene.behaves(f"{after} echo 'pg_restore: error: could not execute: ERROR:  no room' >&2")
    told = scene.restore(**chosen)
    assert told.ended == "CommandFailed", told.said
    assert "exit code 0, and has told errors" in told.said
    scene.behaves(after + scene.by_psql("ALTER DATABASE orchestrator SET work_mem TO '5MB'"))
    assert scene.restore(**chosen).completed
    assert orchestrator.fingerprint(scene.node) == scene.kept
    kept = [name for name in scene.databases() if name.startswith(BEFORE)]
    first = f"{BEFORE}{backups['automated']}"
    assert kept == [first, f"{first}_2", f"{first}_3"], "what a failed load has left is not used"


@pytest.mark.parametrize("kind", SAID)
def test_no_row_is_told_when_the_load_fails(
    scene: Moving, backups: dict[str, str], kind: str
) -> None:
    """A row of the backup, which the new one refuses, holds what the fixture looks for."""
    outcome = scene.restore(backup=backups[f"guarded {kind}"], release=SAID[kind])
    assert outcome.ended == "CommandFailed", outcome.said
    assert "ERROR:" in outcome.said
    assert not any(ROW in str(entry) for entry in outcome.record)


def test_what_has_changed_since_the_step_before_stops_the_next(
    scene: Moving, backups: dict[str, str]
) -> None:
    chosen = {"backup": backups["manual"], "release": SAID["manual"], "new_address": True}
    dump = scene.work / f"restore-{backups['manual']}" / "orchestrator.sql"
    by_hand = "CREATE TABLE by_hand (n int)"
    changes: tuple[tuple[str, str, Callable[[], object]], ...] = (
        ("7", "is out of service", scene.before.node.start),
        ("7", "has the SHA-256", lambda: dump.write_bytes(dump.read_bytes()[:1000])),
        ("7", "is still empty", lambda: scene.node.psql(by_hand, database="orchestrator")),
        ("9", "is out of service", scene.before.node.start),
    )
    for step, said, change in changes:
        point = Point(step, signal=signal.SIGSTOP)
        running = scene.runner.start("orchestrator-restore", at=point, cluster=scene.name, **chosen)
        running.halted(120)
        change()
        running.send(signal.SIGCONT)
        outcome = running.outcome()
        assert outcome.ended == "CheckFailed", outcome.said
        assert said in outcome.said
    assert scene.restore(**chosen).completed
    assert orchestrator.fingerprint(scene.node) == scene.kept


def test_a_missing_line_of_psql_l_is_told(scene: Moving, backups: dict[str, str]) -> None:
    scene.orchestrator = {"archive_database": "another"}
    outcome = scene.restore(backup=backups["automated"])
    assert outcome.ended == "CheckFailed"
    assert "another | orchestrator | UTF8" in outcome.said


def test_a_full_disk_is_told_before_anything_is_uploaded_and_when_it_fills(
    scene: Moving, backups: dict[str, str], loopback_lab: LoopbackLab
) -> None:
    chosen = {"backup": backups["automated"]}
    record = scene.record(backups["automated"])
    files = record["size"] + sum(member["size"] for member in record["members"])
    with loopback_lab.trouble.full_disk(scene.work, size=4 * files, free=files // 2):
        refused(scene, "has room for what comes there", **chosen)
    scene.behaves('[ "$1" = backup ] || "$real" "$@" && cat /dev/zero >filling')
    with loopback_lab.trouble.full_disk(scene.work, size=8 * files, free=4 * files):
        outcome = scene.restore(**chosen)
    assert outcome.ended == "CommandFailed", outcome.said
    assert "No space left on device" in outcome.said
