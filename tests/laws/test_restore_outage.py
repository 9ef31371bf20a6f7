"""The outage of a restore with room beside: short, and the same at every size."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.lab.loopback import LoopbackLab
from tests.lab.writer import Writer
from tests.laws.outcome import Outcome
from tests.laws.restore_scene import Scene

pytestmark = pytest.mark.lab

OWN_SECONDS = 10


def seconds_of(outcome: Outcome, word: str) -> float:
    """Sum the seconds of the actions whose command holds a word, as the record has them."""
    record = outcome.record
    pairs = itertools.pairwise(record)
    return sum(
        float(str(done["seconds"]))
        for intent, done in pairs
        if intent["event"] == "intent" and word in str(intent["command"])
    )


@pytest.mark.parametrize("scale", [5, 50])
def test_the_outage_is_short_whatever_the_size(
    loopback_lab: LoopbackLab,
    tmp_path: Path,
    scale: int,
) -> None:
    node = loopback_lab.postgres(
        f"size{scale}", rows=500, pgbench_scale=scale, authentication="trust"
    )
    scene = Scene(loopback_lab, node, tmp_path)
    scene.back_up()
    with Writer(node.conninfo("shop")) as writer:
        outcome = scene.restore()
        assert outcome.completed, outcome.said
        writer.wait_for_rows(5)
        report = writer.stop()
    node.stop("immediate")
    own = report.outage - seconds_of(outcome, "pg_ctl stop") - seconds_of(outcome, "pg_ctl start")
    told = float(str(outcome.memory["recovery time seconds"]))
    print(f"scale {scale}: outage {report.outage:.2f} s, ours {own:.2f} s, told {told:.2f} s")
    assert 0 < own <= OWN_SECONDS
    assert abs(told - report.outage) < OWN_SECONDS
