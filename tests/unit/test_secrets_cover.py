"""No runbook is left out of the search for secrets."""

from __future__ import annotations

import importlib

from flows._procedure import PROCEDURES
from tests.laws.preloaded import MODULES
from tests.secrets.covered import CONTROL_ROOM, PAIR, REPMGR_CLUSTER, SINGLE_INSTANCE


def test_every_registered_runbook_runs_with_marker_secrets() -> None:
    for module in MODULES.values():
        importlib.import_module(module)
    registered = {name for name in PROCEDURES if name in MODULES}
    assert registered == SINGLE_INSTANCE | PAIR | REPMGR_CLUSTER
    assert registered >= CONTROL_ROOM
