"""How long a client that reconnects cannot write: a planned switchover, and a failover."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from tests.bench.bed import Bed
from tests.bench.rounds import interleaved
from tests.bench.series import Goal, Part, ratios
from tests.bench.variant import Took, Variant
from tests.lab import judge, trouble
from tests.laws import promotion_scene
from tests.laws.replication_scene import Scene

_AT_MOST = 1.5
_SWITCHOVER, _PLANNED = "repmgr standby switchover", "ours, planned"
_PROMOTE, _FAILOVER = "repmgr standby promote", "ours, failover"


def measure(bed: Bed, rounds: int) -> Part:
    """Measure from a client's last success to its next one; it tries every 20 ms."""
    scene = promotion_scene.build(bed.lab, "ba", "bb", "bc", base=bed.folder("promotion"))
    variants = [
        _variant(scene, _SWITCHOVER, lambda: _outage(scene, lambda: _switchover(scene))),
        _variant(scene, _PLANNED, lambda: _outage(scene, lambda: _ours(scene, "planned"))),
        _variant(scene, _PROMOTE, lambda: _failover(scene, lambda: _promote(scene))),
        _variant(scene, _FAILOVER, lambda: _failover(scene, lambda: _ours(scene, "failover"))),
    ]
    try:
        series = interleaved(variants, rounds, bed.servers, bed.console)
    finally:
        scene.halt()
    by_name = {each.name: each.seconds for each in series}
    pairs = ((_PLANNED, _SWITCHOVER), (_FAILOVER, _PROMOTE))
    return Part(
        "promotion",
        "Outage of a promotion, as a client sees it that reconnects",
        (
            "Planned: seconds from the last acknowledged row to the next one.",
            "Failover: from the command, or from the approval of ours, to the next row; before it "
            "the primary was killed.",
            "Three nodes on one machine; ours also stops, repoints and starts an application, "
            "fences, and proves that nothing is lost.",
        ),
        tuple(series),
        tuple(
            Goal(
                f"{ours}: against {theirs}",
                ratios(by_name[ours], by_name[theirs]),
                _AT_MOST,
                "at most",
            )
            for ours, theirs in pairs
        ),
        compared=False,
    )


def _variant(scene: Scene, name: str, run: Callable[[], Took]) -> Variant:
    def prove() -> None:
        assert judge.writable(scene.nodes) == ("bb",)

    return Variant(name, "", run, before=scene.reset, prove=prove, prove_once=False)


def _outage(scene: Scene, change: Callable[[], float]) -> Took:
    with scene.writer() as writer:
        change()
        writer.wait_for_rows(5)
        history = writer.stop()
    assert not history.lost(scene.nodes[1])
    return Took(history.outage)


def _failover(scene: Scene, change: Callable[[], float]) -> Took:
    with scene.writer() as writer:
        trouble.kill(scene.nodes[0])
        began = change()
        writer.wait_for_rows(5)
        history = writer.stop()
    return Took(next(answer.at for answer in history.acknowledged if answer.at > began) - began)


def _switchover(scene: Scene) -> float:
    began = time.time()
    scene.cluster.repmgr(scene.nodes[1], "standby", "switchover", "--siblings-follow", check=False)
    return began


def _promote(scene: Scene) -> float:
    began = time.time()
    scene.cluster.repmgr(scene.nodes[1], "standby", "promote")
    return began


def _ours(scene: Scene, mode: str) -> float:
    """Run it; give the moment of the approval."""
    outcome = scene.run("promotion", to="bb", mode=mode)
    assert outcome.completed, outcome.said
    (answer,) = [entry for entry in outcome.record if entry["event"] == "answer"]
    return datetime.fromisoformat(str(answer["at"])).timestamp()
