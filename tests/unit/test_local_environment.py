"""A command on the worker's own machine gets the environment of a login, not the worker's."""

from __future__ import annotations

import os

import pytest

from runbook.hosts import Command, Host, Local

SECRET = "a-password-of-the-worker"


def test_nothing_of_the_workers_own_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", SECRET)
    monkeypatch.setenv("LC_MONETARY", "C")
    said = Host(name="here", way=Local()).run(Command(("env",), env=(("ASKED_FOR", "1"),))).stdout
    assert SECRET not in said
    lines = said.splitlines()
    assert f"PATH={os.environ['PATH']}" in lines
    assert {"LC_MONETARY=C", "ASKED_FOR=1"} <= set(lines)
