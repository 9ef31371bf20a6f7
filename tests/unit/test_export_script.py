"""How a client that fails is told, on a machine that is full, too."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from runbook.platform.client import EXPORT

_FULL = 'ulimit -f 0; exec sh -c "$@"'
"""Lets no file grow, as a full disk does; a name is still taken."""


def exported(folder: Path, script: str, *, full: bool = False) -> list[str]:
    """Let a client do something, and name what comes of it."""
    argv = [EXPORT, "export", str(folder), "", "sh", "-c", script]
    words = ["sh", "-c", _FULL, "full", *argv] if full else ["sh", "-c", *argv]
    done = subprocess.run(words, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        return [member.name for member in tar if member.name != "."]


def test_what_a_client_made_comes_alone(tmp_path: Path) -> None:
    assert exported(tmp_path, "echo x >all.cntmp") == ["./all.cntmp"]


def test_of_a_client_that_failed_comes_its_exit_code_alone(tmp_path: Path) -> None:
    assert exported(tmp_path, "echo x >all.cntmp; exit 3") == [".failed.3"]


def test_a_full_disk_still_takes_the_exit_code(tmp_path: Path) -> None:
    assert exported(tmp_path, "exit 3", full=True) == [".failed.3"]
