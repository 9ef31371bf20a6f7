"""A restore that must be refused, and everything stays as it is."""

from __future__ import annotations

from typing import Any

from tests.laws.outcome import Outcome
from tests.laws.restore_scene import Scene


def refused(shop: Scene, said: str, **arguments: Any) -> Outcome:
    """Run a restore that must be refused; the node, its files and its server stay as they are."""
    pid = shop.node.pid
    before = sorted(path.name for path in shop.node.directory.iterdir())
    outcome = shop.restore(**arguments)
    assert not outcome.completed
    assert said in outcome.said, outcome.said
    assert outcome.said.startswith("ERROR:")
    assert "DETAIL:" in outcome.said
    assert "HINT:" in outcome.said
    assert shop.node.pid == pid
    assert sorted(path.name for path in shop.node.directory.iterdir()) == before
    assert shop.leftovers() == []
    return outcome
