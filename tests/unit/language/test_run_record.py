"""The record of a run: what a procedure leaves in it, and what is told of a damaged one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from runbook.approval import Answer
from runbook.audit import AuditTrail, read_trail
from runbook.errors import Damaged
from runbook.plan import Plan
from tests.unit.language.scene import Door, Shelf, asking, drive


def test_the_record_names_intent_before_outcome_and_survives_verification(
    tmp_path: Path, shelf: Shelf
) -> None:
    result = drive(tmp_path, asking(shelf), Door(reason="CHG-1"))
    assert result.trail is not None
    events = [entry["event"] for entry in read_trail(result.trail)]
    assert events.index("intent") < events.index("done")
    assert {"start", "plan", "asked", "answer", "approved", "end"} <= set(events)


def test_every_changed_byte_of_a_record_is_found(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    trail = AuditTrail(path)
    for number in range(3):
        trail.write("event", value=number)
    trail.close()
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n")
    for at in range(last):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(Damaged):
            read_trail(path)
    path.write_bytes(whole[: last // 2])
    with pytest.raises(Damaged):
        read_trail(path)


def test_a_record_goes_on_after_an_interruption_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    trail = AuditTrail(path)
    trail.write("first")
    trail.close()
    path.write_bytes(path.read_bytes() + b'{"number":1,"cut')
    trail = AuditTrail(path)
    trail.write("second")
    trail.close()
    assert [entry["event"] for entry in read_trail(path)] == ["first", "torn", "second"]


def test_the_record_keeps_its_own_time_beside_that_of_the_answer(
    tmp_path: Path, shelf: Shelf
) -> None:
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)

    class Early(Door):
        def ask(self, plan: Plan, question: str) -> Answer:
            return super().ask(plan, question).model_copy(update={"at": long_ago})

    result = drive(tmp_path, asking(shelf), Early())
    assert result.trail is not None
    entries = [e for e in read_trail(result.trail) if e["event"] in ("answer", "approved")]
    assert len(entries) == 2
    for entry in entries:
        assert str(entry["at"]) > "2026-06"
        assert str(entry["answered_at"]).startswith("2026-01-01")
