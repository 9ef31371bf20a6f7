"""What the page for auditors tells to type works, without this software."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runbook.audit.index import RunsIndex
from tests.unit.audit.scene import History

PAGE = Path(__file__).parents[3] / "deployments" / "audit.md"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program on the page, in a folder where nothing of ours can be imported."""
    (text,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(text.splitlines()) <= 10
    path = tmp_path_factory.mktemp("auditor") / "verify.py"
    path.write_text(text)
    return path


def said(program: Path, file: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-I", str(program), str(file)]
    return subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=30, cwd=program.parent
    )


def test_the_program_on_the_page_verifies_records_and_index(past: History, program: Path) -> None:
    for file in (past.record("waited"), RunsIndex(past.audit).path):
        done = said(program, file)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{len(file.read_bytes().splitlines())} entries")


def test_the_program_on_the_page_finds_a_change_and_a_gap(
    past: History, program: Path, tmp_path: Path
) -> None:
    lines = past.record("waited").read_bytes().splitlines(keepends=True)
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(b"".join(lines).replace(b"alice", b"mallo", 1))
    assert "does not continue" in said(program, copy).stderr
    copy.write_bytes(b"".join(lines[:3] + lines[4:]))
    assert "line 4 does not continue" in said(program, copy).stderr


def test_the_commands_on_the_page_show_the_seal(past: History) -> None:
    summed = subprocess.run(
        ("sha256sum", past.record("last")), capture_output=True, text=True, check=True
    )
    lines = RunsIndex(past.audit).path.read_text().splitlines()
    sealed = [json.loads(line) for line in lines if '"run":"last"' in line][-1]
    assert summed.stdout.split()[0] == sealed["sha256"]


def test_every_command_on_the_page_is_one_of_ours() -> None:
    from deployments.cli.audit import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands}  # type: ignore[union-attr]
    named = set(re.findall(r"pg-runbooks audit (\w+)", PAGE.read_text()))
    assert named == known
