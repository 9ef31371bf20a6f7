"""A run that has ended while its server is away: its page is missing, and nothing else."""

from __future__ import annotations

from uuid import UUID

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL, temporary_settings
from rich.console import Console

from deployments.cli import submitted

RUN = UUID("0199abcd-1234-7abc-8def-0123456789ab")


def test_a_page_that_cannot_be_read_is_empty_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    """No API answers at the address."""
    away = "http://127.0.0.1:9"
    with temporary_settings({PREFECT_API_URL: f"{away}/api", PREFECT_UI_URL: away}):
        assert submitted._page(RUN, "plan") == ""
        submitted._show_plan(RUN, Console())
    assert f"Look here: {away}/runs/flow-run/{RUN}" in capsys.readouterr().out
