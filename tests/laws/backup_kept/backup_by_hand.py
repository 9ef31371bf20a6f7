"""A backup that the page's reader takes by hand."""

from __future__ import annotations

from pathlib import Path

from tests.lab import processes
from tests.lab.postgres import BIN_DIRECTORY
from tests.laws import backup_scene
from tests.laws.backup_scene import Scene

BY_HAND = "backup_20240229233000"


def by_hand(scene: Scene, method: str, name: str = BY_HAND) -> Path:
    """Take a backup as the page's reader does."""
    target = scene.store / name
    scene.store.mkdir(exist_ok=True)
    backup_scene.give_to_postgres(scene.store)
    where = ["-h", scene.first.host.address, "-U", "postgres", "-F", "tar", "-z"]
    env = {"PGPASSWORD": scene.password}
    argv = [BIN_DIRECTORY / "pg_basebackup", *where, "-X", method, "-c", "fast", "-D", target]
    processes.run(argv, user="postgres", env=env)
    return target
