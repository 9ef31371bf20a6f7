"""All component databases of a server at once, against a bare pg_dump of the slowest."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from tests.bench import commands, settings
from tests.bench.bed import Bed
from tests.bench.order import Order
from tests.bench.rounds import interleaved
from tests.bench.scale import SMALL, Scale
from tests.bench.series import Goal, Part, ratios
from tests.bench.settings import Inventory
from tests.bench.variant import Took, Variant
from tests.lab.postgres import PostgresNode

_AT_MOST = 1.15
_BARE, _OURS = "pg_dump -F c, one after another", "component-backup"
_SMALLER = "component-backup, compression 6"
_DATABASES = ("app", "bench", "many")
_SCALE = Scale("components", 20, 600_000, 20_000, 100, "512MB")
_LITTLE = Scale("components", 3, 60_000, 4_000, 40, "128MB")


def measure(bed: Bed, rounds: int) -> Part:
    """Measure from nothing to dumps that were read to their last byte."""
    node = bed.node_of(_LITTLE if bed.scale is SMALL else _SCALE)
    dumps, bare, stores = bed.folder("dumps"), bed.folder("bare"), bed.folder("component-runs")
    inventory = _inventory(node, dumps, stores, bed.workers)
    smaller = _inventory(node, dumps, bed.folder("small-runs"), bed.workers, compression=6)

    def emptied() -> None:
        for folder in (dumps, bare):
            commands.folder(folder)

    def prove() -> None:
        records = [json.loads(path.read_text()) for path in dumps.glob("*/*.json")]
        assert sorted(record["database"] for record in records) == list(_DATABASES)

    variants = [
        Variant(_BARE, "nothing", lambda: _bare(node, bare), before=emptied),
        *(
            Variant(
                name,
                "each read to its last byte, SHA-256",
                partial(_ours, settings_of_it, dumps),
                before=emptied,
                prove=prove,
                prove_once=False,
            )
            for name, settings_of_it in ((_OURS, inventory), (_SMALLER, smaller))
        ),
    ]
    series = interleaved(variants, rounds, bed.servers, bed.console)
    slowest = [max(sample.took.stages.values()) for sample in series[0].samples]
    return Part(
        "components",
        "Dumps of all component databases of a server",
        (
            f"Three databases, {bed.workers} at once, as a folder of the server keeps them.",
            "The goals are held against the slowest single pg_dump of the same round, at its own "
            "compression, which verifies nothing.",
        ),
        tuple(series),
        tuple(
            Goal(
                f"{each.name} against the slowest pg_dump alone",
                ratios(each.seconds, slowest),
                _AT_MOST,
                "at most",
            )
            for each in series[1:]
        ),
    )


def _inventory(
    node: PostgresNode, dumps: Path, stores: Path, at_once: int, **components: object
) -> Path:
    commands.folder(stores / "store")
    cluster = settings.cluster(node, "store") | {
        "components": {
            "databases": list(_DATABASES),
            "directory": str(dumps),
            "at_once": at_once,
            **components,
        }
    }
    location = {"store": settings.folder_store(stores / "store")}
    return Inventory(stores / "inventory.yaml", location, {"group": cluster}).write()


def _bare(node: PostgresNode, folder: Path) -> Took:
    stages: dict[str, float] = {}
    for database in _DATABASES:
        argv = (node.bin_directory / "pg_dump", "-F", "c", "-h", node.socket_directory)
        with commands.timed() as clock:
            commands.run((*argv, "-f", folder / database, database), user="postgres")
        stages[database] = clock.seconds
    return Took(sum(stages.values()), stages, output=commands.bytes_in(folder))


def _ours(inventory: Path, dumps: Path) -> Took:
    answer = Order(
        inventory=str(inventory),
        runbook="component-backup",
        parameters={"cluster": "group"},
        state=str(inventory.parent / "state"),
    ).carried_out()
    return Took(answer.seconds, memory=answer.memory, output=commands.bytes_in(dumps))
