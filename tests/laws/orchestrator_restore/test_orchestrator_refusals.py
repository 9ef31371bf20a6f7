"""What is refused before the first change."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.lab import orchestrator
from tests.lab.postgres import BIN_DIRECTORY
from tests.laws.orchestrator_restore.judged import SAID, recorded, refused, rewritten
from tests.laws.orchestrator_restore_scene import Moving

pytestmark = pytest.mark.lab


def test_bad_input_is_refused(scene: Moving, backups: dict[str, str]) -> None:
    chosen = {"backup": backups["automated"]}
    refused(scene, "there is no whole backup", backup="20200101000000")
    refused(scene, "the release of the platform is known", backup=backups["manual"])
    refused(scene, "said: 2.5.0", release="2.5.0", **chosen)
    refused(scene, "node_number is one of the list", node_number=0, **chosen)
    settings = {
        "program": ("/nowhere/orchestrator-cli", "finds /nowhere/orchestrator-cli"),
        "database_user": ("nobody", "missing: role nobody"),
        "config": ("/nowhere/cluster.conf", "in its place"),
        "directory": (f"{scene.node.data_directory}/work", "outside the data directory"),
    }
    for setting, (value, said) in settings.items():
        scene.orchestrator = {setting: value}
        refused(scene, said, **chosen)
    scene.orchestrator = {"database_user": "locked"}
    manual = {"backup": backups["manual"], "release": SAID["manual"]}
    refused(scene, "gets into PostgreSQL on orch-new as locked", **manual)
    scene.orchestrator = {}
    archive = scene.archive(backups["automated"])
    content = archive.read_bytes()
    archive.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        refused(scene, "is not whole", "Damaged", **chosen)
    finally:
        archive.write_bytes(content)


END = b"--\n-- PostgreSQL database dump complete"
ROWS = re.compile(rb"^COPY .*?^\\\.$", re.MULTILINE | re.DOTALL)

_OLDER = """#!/bin/sh
for last; do :; done
if [ "$last" = - ]; then
  said=$(cat)
  case $said in *restrict*) echo "invalid command \\\\restrict" >&2; exit 3;; esac
  printf '%%s\\n' "$said" | exec %(psql)s "$@"
fi
exec %(psql)s "$@"
"""


def test_a_manual_load_that_psql_or_the_role_cannot_do_is_refused(
    scene: Moving, backups: dict[str, str]
) -> None:
    """A psql of before August 2025 cannot be had: one that does not know the word stands for it."""
    chosen = {"backup": backups["manual"], "release": SAID["manual"]}
    comment = b"COMMENT ON EXTENSION plpgsql IS 'PL/pgSQL procedural language';\n\n"
    with rewritten(scene, backups["manual"], lambda dump: dump.replace(END, comment + END)):
        refused(scene, "orchestrator is a superuser", **chosen)
    with rewritten(scene, backups["manual"], lambda dump: ROWS.sub(b"", dump)):
        plan = scene.restore(dry_run=True, **chosen).plan
        assert plan is not None
        assert "ROWS NOT COUNTED" in plan.markdown()
    programs = scene.home / "older"
    programs.mkdir(mode=0o755)
    for program in BIN_DIRECTORY.iterdir():
        (programs / program.name).symlink_to(program)
    (programs / "psql").unlink()
    orchestrator.executable(programs / "psql", _OLDER % {"psql": BIN_DIRECTORY / "psql"})
    scene.server = {"bin_directory": str(programs)}
    refused(scene, "knows \\restrict", **chosen)


RECORDED: dict[str, tuple[dict[str, Any], str]] = {
    "an old release": ({"release": "2.3.9"}, "it is 2.3.9"),
    "a newer server": ({"server_major": 99}, "no older than that of the backup, 99"),
    "no room": ({"database_size": 1 << 60}, "has room for what comes there"),
    "another cluster": ({"cluster": "another"}, "it is of another"),
}


@pytest.mark.parametrize("case", RECORDED)
def test_a_backup_that_does_not_fit_is_refused(
    scene: Moving, backups: dict[str, str], case: str
) -> None:
    changed, said = RECORDED[case]
    with recorded(scene, backups["automated"], **changed):
        refused(scene, said, backup=backups["automated"])
