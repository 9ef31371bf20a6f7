"""What a runbook takes beside its commands: planning, asking, locking, recording."""

from __future__ import annotations

from tests.bench import commands, trail
from tests.bench.bed import Bed
from tests.bench.ours import Ours, made_ready
from tests.bench.restore import clear
from tests.bench.rounds import interleaved
from tests.bench.series import Goal, Part
from tests.bench.variant import Took, Variant

_WAYS = {
    "without a server": ("fast", False),
    "without a server, through SSH": ("ssh", False),
    "as a flow, Prefect's test server": ("fast", True),
}


def measure(bed: Bed, rounds: int) -> Part:
    """Measure whole runbooks, minus the seconds of their actions as recorded."""
    ours = made_ready(bed, bed.node_of(bed.scale.smaller))
    for cluster in ("fast", "ssh"):
        ours.run("base-backup", cluster)
    variants = [
        _variant(ours, runbook, way)
        for runbook in ("base-backup", "instance-restore")
        for way in _WAYS
    ]
    series = interleaved(variants, rounds, bed.servers, bed.console)
    return Part(
        "orchestration",
        "Orchestration: a whole runbook without its commands",
        (
            "Seconds of the runbook minus those of its actions in the audit record. Reading the "
            "world (psql, ls) counts as orchestration. Stage start-up is Python's, with its "
            "imports and, for flows, the start of Prefect's test server.",
        ),
        tuple(series),
        goals=tuple(
            Goal(f"{each.name}: orchestration", each.seconds, 3, "at most", "s") for each in series
        ),
        compared=False,
    )


def _variant(ours: Ours, runbook: str, way: str) -> Variant:
    cluster, in_prefect = _WAYS[way]

    def run() -> Took:
        answer = ours.run(runbook, cluster, in_prefect=in_prefect)
        actions = trail.seconds(answer.trail)
        stages = {
            "whole": answer.seconds,
            "actions": actions,
            "start-up": answer.process - answer.seconds,
        }
        return Took(answer.seconds - actions, stages, answer.memory)

    def after() -> None:
        clear(ours)
        if runbook == "base-backup":
            commands.emptied(ours.newest(cluster))

    return Variant(
        f"{runbook}, {way}",
        f"{ours.node.name} data set",
        run,
        before=lambda: ours.bed.checkpoint(ours.node),
        after=after,
    )
