"""Tables are readable on 80 columns, and whole off a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from deployments.answers import Waiting
from deployments.cli import approve, backups

ROW = backups.Row(
    cluster="shop-demo",
    id="backup_20261123042500",
    state="sound",
    finished="2026-11-23T04:25:07+00:00",
    age=30_000.0,
    size=123_456_789,
    stored=23_456_789,
    made_by="pg-runbooks fast",
    verified="2026-11-23T04:26:00+00:00",
    newest=True,
)
RUN = UUID("0199abcd-1234-7abc-8def-0123456789ab")
WAITING = Waiting(
    run=RUN,
    name="instance-restore-undo/shop-production",
    cluster="shop-production",
    question="q",
    key="approval-0123456789abcdef-1",
    asked_at=datetime(2026, 11, 23, 4, 25, tzinfo=UTC),
    until=datetime(2026, 11, 24, 4, 25, tzinfo=UTC),
)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("terminal")
def test_tables_are_readable_on_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    backups._show([ROW])
    approve._show((WAITING,))
    text = capsys.readouterr().out
    assert "…" not in text
    told = (ROW.id, ROW.cluster, "sound", "2026-11-23 04:26", "0199abcd-1234", WAITING.name)
    for whole in (*told, "0123456789ab", "11-24 04:25"):
        assert whole in text
    assert "made by" not in text
    assert "waiting for" not in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_off_a_terminal_nothing_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    backups._show([ROW])
    approve._show((WAITING,))
    text = capsys.readouterr().out
    assert "…" not in text
    told = ("made by", "stored", ROW.made_by, "2026-11-23 04:25:07", str(RUN), WAITING.name)
    for whole in (*told, "0123456789ab", "waiting for", "2026-11-24 04:25"):
        assert whole in text
