"""What a base-backup must leave as it was, and what it must not leave."""

from __future__ import annotations

from tests.lab import processes
from tests.laws.backup_scene import Scene

BY_HAND = "backup_20200101000000"
"""A backup in the store that is somebody's own."""


def settled(scene: Scene) -> None:
    """Insist that nothing of a run is left on the host or the server."""
    processes.until(lambda: not scene.traces(), f"nothing is left: {scene.traces()}", within=60)
