"""Scheduled runbooks do not stand in each other's way."""

from __future__ import annotations

import importlib
from collections import Counter

from flows._procedure import PROCEDURES
from tests.laws.preloaded import MODULES

PLATFORM = "platform-backup"
"""It locks each cluster while a part of it is done."""


def test_no_two_runbooks_that_lock_the_cluster_begin_at_the_same_hour() -> None:
    for module in MODULES.values():
        importlib.import_module(module)
    ours = [PROCEDURES[name] for name in MODULES if name in PROCEDURES]
    wanted = [each for each in ours if each.alone or each.name == PLATFORM]
    hours = Counter(each.hour for each in wanted if each.scheduled)
    assert len(hours) > 1
    assert set(hours.values()) == {1}
