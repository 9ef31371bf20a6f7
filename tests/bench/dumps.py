"""Logical backups of a whole server, against a bare pg_dumpall through gzip."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench import commands, settings, trail
from tests.bench.bed import Bed
from tests.bench.order import Order
from tests.bench.rounds import interleaved
from tests.bench.scale import FULL, SMALL, Scale
from tests.bench.series import Goal, Part, ratios
from tests.bench.settings import Inventory
from tests.bench.variant import Took, Variant
from tests.lab.postgres import PostgresNode

_AT_MOST = 1.1
_BARE, _OURS = "pg_dumpall | gzip -1", "logical-backup"
_GUID = "2f1c9c3e-0000-4000-8000-000000000002"
_KEY = "bench-backup-key"

_LITTLE = Scale("dumps", 6, 80_000, 3_000, 160, "128MB")
_DUMP = '"$1" -h "$2" | gzip -1 >"$3"'
_STAGES = {"dump": "| gzip |", "reading back": " back: ", "record": ".json"}


def measure(bed: Bed, rounds: int) -> Part:
    """Measure from nothing to a backup that counts."""
    node = bed.node_of(_LITTLE if bed.scale is SMALL else FULL)
    bare, runs = bed.folder("dumps-bare"), bed.folder("dumps-runs")
    store = commands.folder(runs / "store")
    inventory = _inventory(node, runs, store)

    def prove() -> None:
        (record,) = (json.loads(path.read_text()) for path in store.glob("*.json"))
        assert record["rows"]["app"]["public.events"] == int(
            node.psql("SELECT count(*) FROM events", database="app")
        )

    variants = [
        Variant(_BARE, "nothing, not even encrypted", lambda: _bare(node, bare)),
        Variant(
            _OURS,
            "read back from the store to its last byte; SHA-256, rows",
            lambda: _ours(inventory, runs),
            before=lambda: _emptied(store),
            prove=prove,
            prove_once=False,
        ),
    ]
    series = interleaved(variants, rounds, bed.servers, bed.console)
    measured = ratios(series[1].seconds, series[0].seconds)
    return Part(
        "dumps",
        "Logical backup of a server",
        (
            "Ours: plan, checks, lock, dump, encryption, reading back from the store; brought to "
            "disk, which the bare one is not. Stages are those of its record; process is the "
            "whole of it with the start of the interpreter.",
        ),
        tuple(series),
        (Goal("against a bare pg_dumpall | gzip -1", measured, _AT_MOST, "at most"),),
    )


def _inventory(node: PostgresNode, runs: Path, store: Path) -> Path:
    cluster = settings.cluster(node, "store") | {
        "logical": {"store": "store", "guid": _GUID},
        "encryption_keys": {"current": {"env": settings.SECRET}},
    }
    stores = {"store": settings.folder_store(store)}
    return Inventory(runs / "inventory.yaml", stores, {"all": cluster}).write()


def _emptied(store: Path) -> None:
    for path in store.iterdir():
        path.unlink()


def _bare(node: PostgresNode, folder: Path) -> Took:
    program, target = node.bin_directory / "pg_dumpall", folder / "dump.gz"
    with commands.timed() as clock:
        commands.pipe(_DUMP, program, node.socket_directory, target, user="postgres")
    return Took(clock.seconds, output=commands.bytes_in(folder))


def _ours(inventory: Path, runs: Path) -> Took:
    answer = Order(
        inventory=str(inventory),
        runbook="logical-backup",
        parameters={"cluster": "all"},
        state=str(runs / "state"),
        secret=_KEY,
    ).carried_out()
    stages = {stage: trail.action(answer.trail, words).seconds for stage, words in _STAGES.items()}
    stages["process"] = answer.process
    output = commands.bytes_in(runs / "store")
    return Took(answer.seconds, stages, answer.memory, output)
