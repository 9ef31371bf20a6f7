"""A platform with a job and a package, and what export-all has kept of it."""

from __future__ import annotations

from tests.laws.platform.export_scene import Scene

APART = ["ns /apcera/pkg", "package export go-1", "ns /apcera", "job export guide"]
RUN = "1234567890abcdef1234567890abcdef"


def fill(scene: Scene) -> None:
    """Let the platform have a job and a package, which the settings list."""
    scene.platform.put("job", "apcera/guide", "guide 1\n")
    scene.platform.put("package", "apcera.pkg/go-1", "go " * 99)
    scene.exports = {"jobs": {"/apcera": ["guide"]}, "packages": {"/apcera/pkg": ["go-1"]}}


def layered(scene: Scene) -> None:
    """Let a package have more than one layer."""
    scene.platform.put("package", "apcera.pkg/go-1", "one\ftwo")


def places(scene: Scene) -> tuple[int, ...]:
    """Count the files of each kind."""
    return tuple(len(scene.stored(kind)) for kind in ("all", "package", "job"))
