"""What logical-backup refuses or cannot finish, on the server, in the settings and in the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.components.statements import closing
from tests.lab.loopback import LoopbackLab
from tests.laws.backup_scene import made_anew
from tests.laws.logical_backup_scene import GUID, Scene, by_the_page

pytestmark = pytest.mark.lab


def test_a_server_made_anew_is_refused_until_it_is_said_once(scene: Scene) -> None:
    lost = scene.back_up()
    with made_anew(scene.node):
        refused = scene.run()
        assert refused.ended == "CheckFailed", refused.said
        assert f"{lost} is of {scene.record(lost)['system_identifier']}" in refused.said
        assert "logical-backup with other_system=true, once" in refused.said
        begun = scene.run(other_system=True)
        assert begun.completed, begun.said
        scene.back_up()
    back = scene.run()
    assert back.ended == "CheckFailed", back.said


def test_a_pg_dumpall_that_fails_is_told_and_leaves_nothing(scene: Scene) -> None:
    before = scene.files
    scene.node.psql("ALTER DATABASE latin CONNECTION LIMIT 0")
    scene.node.psql("CREATE DATABASE broken", database="postgres")
    (oid,) = scene.node.psql("SELECT oid FROM pg_database WHERE datname = 'broken'").split()
    version = scene.node.data_directory / "base" / oid / "PG_VERSION"
    version.rename(version.with_suffix(".away"))
    try:
        outcome = scene.run()
    finally:
        version.with_suffix(".away").rename(version)
        scene.node.psql("DROP DATABASE broken")
        scene.node.psql("ALTER DATABASE latin CONNECTION LIMIT -1")
    assert outcome.ended == "CommandFailed", outcome.said
    assert "pg_dumpall ended with exit code 1" in outcome.said
    assert "PG_VERSION" in outcome.said
    scene.settled()
    assert scene.files == before


def test_a_backup_that_a_recovery_would_refuse_is_kept_and_fails_its_run(scene: Scene) -> None:
    scene.node.psql(
        "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;"
        "CREATE FOREIGN TABLE said (line text) SERVER files OPTIONS (program 'id')"
    )
    try:
        outcome = scene.run()
    finally:
        scene.node.psql("DROP EXTENSION file_fdw CASCADE")
    assert outcome.ended == "CheckFailed", outcome.said
    assert "CREATE FOREIGN TABLE public.said" in outcome.said
    assert "by hand" in outcome.said
    (made,) = (name for name in scene.ids if not name.startswith(f"{GUID}0"))
    assert "CREATE FOREIGN TABLE public.said" in scene.record(made)["refused"]
    by_the_page(scene.folder, made)
    assert scene.run().completed


def test_another_major_version_of_pg_dumpall_is_refused(scene: Scene, tmp_path: Path) -> None:
    programs = scene.base / "bin"
    programs.mkdir(exist_ok=True)
    for name in ("psql", "pg_controldata"):
        (programs / name).unlink(missing_ok=True)
        (programs / name).symlink_to(scene.node.bin_directory / name)
    newer = programs / "pg_dumpall"
    newer.write_text("#!/bin/sh\necho 'pg_dumpall (PostgreSQL) 17.6'\n")
    newer.chmod(0o755)
    scene.bin_directory = str(programs)
    before = scene.files
    outcome = scene.run()
    assert outcome.ended == "CheckFailed", outcome.said
    assert "pg_dumpall 17.6, server 15." in outcome.said
    assert scene.files == before


def test_a_database_that_a_killed_restore_has_closed_is_not_left_out_in_silence(
    scene: Scene,
) -> None:
    before = scene.files
    scene.node.psql(closing("latin", "of-a-killed-run"))
    outcome = scene.run()
    assert outcome.ended == "CheckFailed", outcome.said
    assert "a component-restore has closed latin, and not ended" in outcome.said
    assert scene.files == before
    way_on = outcome.said.partition("psql on lb1: ")[2]
    scene.node.psql(way_on)
    assert "latin" in scene.record(scene.back_up())["rows"]


def test_a_key_that_openssl_would_not_read_is_refused(scene: Scene) -> None:
    scene.keys = {"current": "two\nlines"}
    outcome = scene.run()
    assert outcome.ended == "SettingsError"
    assert "lines" not in outcome.said.replace("more than one line", "")


def test_a_clock_that_is_behind_the_newest_backup_is_refused(scene: Scene) -> None:
    future = scene.folder / f"{GUID}-9999999999999.json"
    future.write_text("{}")
    outcome = scene.run()
    assert outcome.ended == "CheckFailed"
    assert "from the future" in outcome.said


def test_a_full_store_is_told_and_nothing_is_left(scene: Scene, loopback_lab: LoopbackLab) -> None:
    scene.logical = {"folder": "full"}
    scene.node.psql("CREATE TABLE big AS SELECT md5(n::text) FROM generate_series(1, 100000) n")
    folder = scene.folder / "full"
    with loopback_lab.trouble.full_disk(folder, size=8 << 20, free=1 << 20):
        outcome = scene.run()
        left = {path.name for path in folder.rglob("*") if path.is_file()}
    scene.node.psql("DROP TABLE big")
    assert outcome.ended in ("StoreError", "CheckFailed"), outcome.said
    assert left == {"ballast"}
    scene.settled()
