"""Retention of an Orchestrator's backups over all inputs; and names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runbook.orchestrator.backup import OrchestratorBackup, parsed
from runbook.orchestrator.retention import expendable

_START = datetime(2026, 1, 1, tzinfo=UTC)


def backup(number: int) -> OrchestratorBackup:
    at = _START + timedelta(minutes=number)
    return OrchestratorBackup.model_construct(id=f"{at:%Y%m%d%H%M%S}", finished=at)


@given(st.lists(st.booleans(), max_size=12), st.integers(min_value=1, max_value=4), st.booleans())
def test_the_newest_sound_ones_and_all_that_is_newer_remain(
    whole: list[bool], keep: int, coming: bool
) -> None:
    backups = [backup(number) for number in range(len(whole))]
    sound = [each.id for each, is_whole in zip(backups, whole, strict=True) if is_whole]
    going = {each.id for each in expendable(backups, keep=keep, sound=sound, coming=coming)}
    room = keep - coming
    kept = sound[-room:] if room else []
    if kept:
        assert going == {each.id for each in backups if each.id < kept[0]}
    else:
        assert going == ({each.id for each in backups} if not room else set())


def test_names_tell_ours_from_anybodys() -> None:
    ours = "20260101000000/orchestrator_backup_2026-01-01T00:00:00Z.tgz"
    assert parsed(ours) == ("20260101000000", ours.partition("/")[2])
    assert parsed("20260101000000/begun") == ("20260101000000", "begun")
    for name in ("2026/begun", "20260101000000/x.tgz", "20260101000000/a/begun", "begun"):
        assert parsed(name) is None
