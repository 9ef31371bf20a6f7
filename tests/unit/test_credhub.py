"""Secrets from CredHub, whose program a script stands for: nobody here has its server."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.credhub import credential
from runbook.errors import SettingsError
from runbook.inventory import read_inventory

_PROGRAM = """#!/bin/sh
# credhub get --quiet --name NAME: the value alone, or an error
[ "$1 $2 $3" = "get --quiet --name" ] || exit 64
case $4 in
/backup_manager_password) echo 'MARKER-from-credhub';;
/empty) ;;
*) echo 'The request could not be completed because the credential does not exist' >&2; exit 1;;
esac
"""
_INVENTORY = """
stores:
  s:
    location: {kind: s3, bucket: b}
    key_id: k
    secret: {credhub: /backup_manager_password}
"""


@pytest.fixture
def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bin" / "credhub"
    path.parent.mkdir()
    path.write_text(_PROGRAM)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")


@pytest.mark.usefixtures("_program")
def test_a_secret_is_read_from_credhub_and_never_printed(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(_INVENTORY)
    inventory = read_inventory(path)
    assert inventory.store("s").secret.get_secret_value() == "MARKER-from-credhub"
    assert "MARKER" not in repr(inventory)


@pytest.mark.usefixtures("_program")
@pytest.mark.parametrize(
    ("name", "said"),
    [("/nothing", "does not exist"), ("/empty", "exit code 0"), ("--help", "no name"), ("", "")],
)
def test_what_credhub_does_not_give_is_told_with_its_words(name: str, said: str) -> None:
    with pytest.raises(SettingsError) as told:
        credential(name)
    assert said in str(told.value)


def test_a_missing_program_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="does not give /x") as told:
        credential("/x")
    assert "installed and logged in" in told.value.hint
