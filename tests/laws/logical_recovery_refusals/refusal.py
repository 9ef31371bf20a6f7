"""A recovery that must be refused, and everything stays as it is; or one that is possible."""

from __future__ import annotations

from typing import Any

from tests.laws.logical_recovery_scene import Recoverable, blocked, recover


def refused(scene: Recoverable, *said: str, **arguments: Any) -> None:
    """Run a recovery that must be refused; every server, and the port, stays as it is."""
    before = scene.servers()
    outcome = recover(scene, **arguments)
    assert not outcome.completed
    for words in said:
        assert words in outcome.said, outcome.said
    assert scene.servers() == before
    assert not blocked(scene)
    assert not [entry for entry in outcome.record if entry["event"] == "intent"]


def planned(scene: Recoverable, **arguments: Any) -> str:
    """Give the plan of a recovery that is possible."""
    outcome = recover(scene, dry_run=True, **arguments)
    assert outcome.completed, outcome.said
    assert outcome.plan is not None
    return outcome.plan.markdown()
