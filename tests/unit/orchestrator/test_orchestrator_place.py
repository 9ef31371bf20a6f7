"""A configuration that comes to its place: what a person has there is kept, whatever it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runbook.orchestrator.restoring import _PLACE

ID = "20260101000000"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    made = tmp_path / "unpacked"
    made.write_text("of the backup\n")
    return made


def place(backup: Path, config: Path) -> None:
    argv = ["sh", "-c", _PLACE, "place", str(backup), str(config), ID]
    subprocess.run(argv, check=True, timeout=60)


def test_it_is_for_its_owner_alone_where_there_is_none(tmp_path: Path, backup: Path) -> None:
    config = tmp_path / "cluster.conf"
    place(backup, config)
    assert config.read_text() == "of the backup\n"
    assert config.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster.conf", "unpacked"]


def test_another_one_is_kept_with_its_rights_and_each_one_of_several(
    tmp_path: Path, backup: Path
) -> None:
    config, kept = tmp_path / "cluster.conf", f"cluster.conf.before-{ID}"
    mine = tmp_path / "cluster.conf.new"
    mine.write_text("a person's\n")
    for number in (1, 2):
        config.write_text(f"before {number}\n")
        config.chmod(0o640)
        place(backup, config)
        place(backup, config)
        assert config.stat().st_mode & 0o777 == 0o640
    assert config.read_text() == "of the backup\n"
    assert (tmp_path / kept).read_text() == "before 2\n"
    assert (tmp_path / f"{kept}.~1~").read_text() == "before 1\n"
    assert mine.read_text() == "a person's\n"


def test_a_link_stays_a_link(tmp_path: Path, backup: Path) -> None:
    config, real = tmp_path / "cluster.conf", tmp_path / "versions" / "today.conf"
    real.parent.mkdir()
    real.write_text("linked\n")
    config.symlink_to("versions/today.conf")
    place(backup, config)
    assert config.is_symlink()
    assert real.read_text() == "of the backup\n"
    assert (tmp_path / f"cluster.conf.before-{ID}").read_text() == "linked\n"
    assert not (tmp_path / f"cluster.conf.before-{ID}").is_symlink()
    assert [path.name for path in real.parent.iterdir()] == ["today.conf"]
