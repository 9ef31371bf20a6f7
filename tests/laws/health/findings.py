"""What health-check has found on the scene."""

from __future__ import annotations

import re
from typing import Any

from tests.laws.outcome import Outcome
from tests.laws.replication_scene import Scene

ARCHIVED = "test -n %p"


def wrong(outcome: Outcome) -> list[str]:
    """Give the lines of all findings that are not OK, of a run that failed or did not."""
    text = outcome.said if outcome.said else outcome.told
    return re.findall(r"(?:WARNING|CRITICAL): .*", text)


def looked(scene: Scene, **arguments: Any) -> list[str]:
    """Make the check as a dry run and give the lines that are not OK."""
    outcome = scene.run("health-check", dry_run=True, **arguments)
    critical = [line for line in wrong(outcome) if line.startswith("CRITICAL")]
    assert outcome.ended == ("CheckFailed" if critical else "completed"), outcome.said
    return wrong(outcome)


def limits(scene: Scene, **bounds: tuple[float | str, float | str]) -> None:
    """Set the cluster's bounds."""
    scene.cluster_settings["health_limits"] = {
        name: {"warning": warning, "critical": critical}
        for name, (warning, critical) in bounds.items()
    }


def has(lines: list[str], start: str) -> bool:
    """Tell whether a line begins so."""
    return any(line.startswith(start) for line in lines)
