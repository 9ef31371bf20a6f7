"""A restore tells recovery time and recovery point against what was promised."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.audit.history import past_runs
from runbook.audit.report.run_page import run_page
from tests.lab.loopback import LoopbackLab
from tests.laws.restore_scene import Scene

pytestmark = pytest.mark.lab


def test_a_restore_is_judged_by_the_clusters_objectives(
    loopback_lab: LoopbackLab, tmp_path: Path
) -> None:
    node = loopback_lab.postgres("promised", rows=200, authentication="trust")
    scene = Scene(loopback_lab, node, tmp_path)
    scene.cluster = {"objectives": {"rto": "1h", "rpo": "PT0.001S"}}
    scene.back_up()
    planned = scene.restore(dry_run=True)
    assert planned.plan is not None
    (age,) = [fact.value for fact in planned.plan.facts if fact.name == "age of the data"]
    assert "exceeded by" in age
    outcome = scene.restore()
    node.stop("immediate")
    assert outcome.completed, outcome.said
    measured = outcome.record[-1]["measured"]
    assert isinstance(measured, dict)
    assert measured["recovery time budget"] == 3600
    assert measured["recovery point budget"] == 0.001
    assert "from stop to healthy (kept: 1 h allowed)" in outcome.told
    (run,) = [past for past in past_runs(outcome.trail.parent) if past.recovery_time]
    assert run.time is not None
    assert run.time.kept
    assert run.point is not None
    assert not run.point.kept
    page = run_page(outcome.trail, ())
    assert '<span class="pill good">kept</span> <span class="quiet">1 h allowed' in page
    assert '<span class="pill bad">exceeded by ' in page
