"""Scheduled runbooks do not stand in each other's way."""

from __future__ import annotations

from collections import Counter

from deployments.cli.runbooks import load, modules

PLATFORM = "platform-backup"
"""It locks each cluster while a part of it is done."""


def test_no_two_runbooks_that_lock_the_cluster_begin_at_the_same_hour() -> None:
    ours = [load(name) for name in modules()]
    wanted = [each for each in ours if each.alone or each.name == PLATFORM]
    hours = Counter(each.hour for each in wanted if each.scheduled)
    assert len(hours) > 1
    assert set(hours.values()) == {1}
