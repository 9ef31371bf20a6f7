"""No runbook is left out of the search for secrets."""

from __future__ import annotations

from deployments.cli.runbooks import load, modules
from tests.secrets.covered import CONTROL_ROOM, PAIR, REPMGR_CLUSTER, SINGLE_INSTANCE


def test_every_registered_runbook_runs_with_marker_secrets() -> None:
    registered = {load(name).name for name in modules()}
    assert registered == SINGLE_INSTANCE | PAIR | REPMGR_CLUSTER
    assert registered >= CONTROL_ROOM
