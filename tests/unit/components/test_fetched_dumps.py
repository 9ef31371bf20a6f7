"""A sound dump in the store comes home, whatever lies under its name, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook import ensure
from runbook.components.dump import DUMP
from runbook.components.fetching import Fetching
from runbook.errors import Damaged
from runbook.run import Mode, opened
from tests.unit.components import pieces


def fetch(fetching: Fetching) -> str:
    """Fetch as a run does."""
    with opened(pieces.run(Mode.ACT)), fetching.unfinished_removed():
        return ensure("it is there", holds=fetching.is_there, by=fetching.actions)


def scene(tmp_path: Path) -> Fetching:
    there, vault = (pieces.catalogue(tmp_path / name) for name in ("folder", "vault"))
    pieces.lay(vault, pieces.dump())
    return Fetching(pieces.dump(), vault, pieces.keeper(there, tmp_path / "folder"))


def archives(tmp_path: Path) -> dict[str, bytes]:
    """Give the archives in the folder by the endings of their names."""
    found = (tmp_path / "folder/component").glob("*.dump*")
    return {path.name.partition(".")[2].split("-")[0]: path.read_bytes() for path in found}


def test_a_damaged_local_dump_is_kept_aside_and_replaced(tmp_path: Path) -> None:
    fetching = scene(tmp_path)
    pieces.lay(fetching.target, pieces.dump(), b"1x345")
    assert fetch(fetching) == "done"
    assert archives(tmp_path) == {"dump": pieces.ARCHIVE, "dump.aside": b"1x345"}
    assert [dump.id for dump in fetching.target.sound("component")] == [pieces.dump().id]
    assert fetch(fetching) == "already so"


def test_an_archive_that_no_run_of_ours_began_is_never_deleted(tmp_path: Path) -> None:
    fetching = scene(tmp_path)
    fetching.target.store.put(fetching.target.key("component", pieces.dump().id, DUMP), b"own")
    where = tmp_path / "vault" / fetching.vault.key("component", pieces.dump().id, DUMP)
    where.chmod(0o600)
    where.write_bytes(b"1y345")
    with pytest.raises(Damaged):
        fetch(fetching)
    assert archives(tmp_path) == {"dump.aside": b"own"}
    where.write_bytes(pieces.ARCHIVE)
    assert fetch(fetching) == "done"
    assert archives(tmp_path) == {"dump": pieces.ARCHIVE, "dump.aside": b"own"}
