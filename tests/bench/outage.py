"""How long applications stand still for a restore, at two sizes."""

from __future__ import annotations

from dataclasses import replace

from tests.bench import page
from tests.bench.bed import Bed
from tests.bench.ours import made_ready
from tests.bench.restore import adopted, by_hand, by_runbook
from tests.bench.rounds import interleaved
from tests.bench.scale import Scale, size
from tests.bench.series import Goal, Part
from tests.bench.variant import Took, Variant
from tests.lab.postgres import PostgresNode
from tests.lab.writer import Writer


def measure(bed: Bed, rounds: int) -> Part:
    """Measure from an application's last success to its next one; it tries every 50 ms."""
    variants = [variant for scale in (bed.scale.smaller, bed.scale) for variant in _at(bed, scale)]
    series = interleaved(variants, rounds, bed.servers, bed.console)
    return Part(
        "outage",
        "Outage of a restore, as an application sees it",
        (
            "Seconds from the last acknowledged write before the restore to the next one; "
            "rest is that without PostgreSQL's own stop and start.",
            "Ours with room beside the old data: unpacked and verified while the server runs.",
        ),
        tuple(series),
        tuple(
            Goal(
                f"{each.name}: outage without stop and start",
                each.stage("rest"),
                10,
                "at most",
                "s",
            )
            for each in series
            if each.name.startswith("ours")
        ),
    )


def _at(bed: Bed, scale: Scale) -> tuple[Variant, Variant]:
    node = bed.node_of(scale)
    ours = made_ready(bed, node)
    archive = adopted(ours)
    ours.run("base-backup", "fast")
    text = f"{size(node) / 1e6:.0f} MB"
    by_page = by_hand(bed, f"page, {text}", "", lambda: page.unpack(node, archive), node)
    mine = by_runbook(ours, f"ours, {text}", "fast")
    return (_suffered(by_page, node), _suffered(mine, node))


def _suffered(variant: Variant, node: PostgresNode) -> Variant:
    """Measure a restore by what an application suffers."""

    def run() -> Took:
        with Writer(node.conninfo("bench")) as writer:
            took = variant.run()
            writer.wait_for_rows(5)
            outage = writer.stop().outage
        stages = {name: took.stages[name] for name in ("stop", "start")}
        return Took(outage, {**stages, "rest": outage - sum(stages.values())}, took.memory)

    return replace(variant, run=run)
