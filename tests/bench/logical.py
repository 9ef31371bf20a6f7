"""Recovery from a logical backup until all rows, indexes and constraints are there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench import commands, logical_case
from tests.bench.bed import Bed
from tests.bench.loading import KEY
from tests.bench.logical_case import DECRYPT, GUID, SECRET, Case
from tests.bench.rounds import interleaved
from tests.bench.scale import SMALL, Scale
from tests.bench.series import Goal, Part, Series, ratios
from tests.bench.variant import Took, Variant
from tests.lab.s3 import S3Server

PAGE, STREAM, OURS = "page: four stages", "openssl | gunzip | psql", "ours"
RESTORE = "pg_restore -j 2, from directories"
Download = Callable[[Case, Path], None]
_MORE = {
    "huge": Scale("logical-huge", 40, 100, 100, 1, "512MB"),
    "many": Scale("logical-many", 1, 100, 100, 5_000, "256MB"),
}
_ROOT = Path(__file__).parents[2]
_RESTORE = """
for each in app bench many; do "$1" -j 2 -C -h "$2" -d postgres "$3/$each"; done"""


def measure(bed: Bed, rounds: int) -> Part:
    """Measure from the parts of a backup, as the page's commands write them."""
    more = {} if bed.scale is SMALL else _MORE
    cases = [logical_case.mixed(bed)]
    cases += [logical_case.made(bed, name, wanted) for name, wanted in more.items()]
    variants = [variant for case in cases for variant in _variants(case)]
    series = interleaved(variants, rounds, lambda: servers(bed, cases), bed.console)
    by = {each.name: each for each in series}
    return Part(
        "logical",
        "Recovery from a logical backup until everything is there",
        (
            "The page: copy the parts, decrypt and unpack into a file, copy that to the node, "
            "psql; all on one machine, so that its copies cost next to nothing.",
            "Ours reads the parts twice: once to verify all of it, once to load it. No temporary "
            "file; rows of each table compared with the dump. Stage start is that of its process: "
            "interpreter and imports, whatever the size.",
            "Mixed: jsonb with GIN, a wide table, 800 small tables, pgbench. Huge: one table. "
            "Many: 5000 small tables.",
        ),
        tuple(series),
        (*(_goal(by, case.name) for case in cases), *_goals_of_mixed(by)),
    )


def _goal(by: dict[str, Series], case: str) -> Goal:
    measured = ratios(by[f"{case}: {PAGE}"].seconds, by[f"{case}: {OURS}"].seconds)
    bound = 1.6 if case == "mixed" else 1.0
    return Goal(f"{case}: times as fast as the page's", measured, bound, "at least")


def _goals_of_mixed(by: dict[str, Series]) -> tuple[Goal, ...]:
    ours = by[f"mixed: {OURS}"]
    restored = ratios(by[f"mixed: {RESTORE}"].seconds, ours.seconds)
    evenly = tuple(sample.cost.own / (os.cpu_count() or 1) for sample in ours.samples)
    memory = tuple(sample.memory / 2**20 for sample in ours.samples)
    return (
        Goal("mixed: times as fast as pg_restore -j 2", restored, 1.0, "at least"),
        Goal("mixed: against CPU seconds / cores", ratios(ours.seconds, evenly), 1.35, "at most"),
        Goal("mixed: memory of the worker", memory, 256, "at most", "MiB"),
    )


def servers(bed: Bed, cases: list[Case]) -> list[int]:
    """List the processes that work for what is measured: sources, targets."""
    return [*bed.servers(), *(case.target.pid for case in cases if case.target.pid is not None)]


def _variants(case: Case) -> list[Variant]:
    def variant(name: str, note: str, run: Callable[[], Took]) -> Variant:
        return Variant(
            f"{case.name}: {name}", note, run, before=case.reset, prove=case.prove, prove_once=False
        )

    return [
        variant(PAGE, "gzip's checksum, when all is loaded", lambda: by_page(case)),
        variant(STREAM, "the same", lambda: _streamed(case)),
        variant(RESTORE, "nothing; another format of dump", lambda: _restored(case)),
        variant(OURS, "all of it before the first statement; rows", lambda: ours(case)),
    ]


def by_page(case: Case, download: Download | None = None) -> Took:
    """Go the page's way, from the parts in a folder or with another download of them."""
    folder = case.bed.folder("page-files")
    stages: dict[str, float] = {}
    copied, dump, on_node = folder / case.backup.name, folder / "dump", folder / "dump-on-node"
    steps = {
        "download": lambda: (download or _copy)(case, folder),
        "decrypt": lambda: commands.pipe(DECRYPT + ' >"$2"', copied, dump, env={"KEY": SECRET}),
        "copy": lambda: commands.run(("cp", dump, on_node)),
        "psql": lambda: _psql(case, 'psql --quiet postgres <"$1"', on_node),
    }
    for name, step in steps.items():
        with commands.timed() as clock:
            step()
        stages[name] = clock.seconds
    commands.emptied(folder)
    return Took(sum(stages.values()), stages)


def _copy(case: Case, folder: Path) -> None:
    commands.pipe('cp "$1"-? "$2"', case.backup, folder)


def _streamed(case: Case) -> Took:
    with commands.timed() as clock:
        _psql(case, DECRYPT + " | psql --quiet postgres", case.backup)
    return Took(clock.seconds)


def _restored(case: Case) -> Took:
    target = case.target
    words = (target.bin_directory / "pg_restore", target.socket_directory, case.directories)
    with commands.timed() as clock:
        commands.pipe(_RESTORE, *words, user="postgres")
    return Took(clock.seconds)


def _psql(case: Case, script: str, path: Path) -> None:
    env = {"KEY": SECRET, "PGHOST": str(case.target.socket_directory)}
    commands.pipe(f"{{ {script}; }} >/dev/null", path, user="postgres", env=env)


def ours(case: Case, server: S3Server | None = None) -> Took:
    """Go our way, from the parts in a folder or in a bucket."""
    target = case.target
    node = {
        "name": target.name,
        "host": {"name": target.name},
        "port": target.port,
        "socket_directory": str(target.socket_directory),
        "bin_directory": str(target.bin_directory),
        "data_directory": str(target.data_directory),
    }
    order = {**_store(case, server), "guid": GUID, "node": node, "lanes": case.bed.workers}
    argv = (sys.executable, "-m", "tests.bench.loading", json.dumps(order))
    with commands.timed() as clock:
        output = commands.run(argv, env={"PYTHONPATH": str(_ROOT), KEY: SECRET})
    answer = json.loads(output.splitlines()[-1])
    working = answer["verify"] + answer["load"]
    stages = {"start": clock.seconds - working, **answer}
    memory = int(stages.pop("memory"))
    return Took(clock.seconds, stages, memory)


def _store(case: Case, server: S3Server | None) -> dict[str, object]:
    if server is None:
        return {"store": {"kind": "folder", "path": str(case.parts)}, "login": {}}
    bucket = {"bucket": server.bucket, "endpoint_url": server.endpoint, "addressing": "path"}
    login = {"key_id": server.key_id, "secret": server.secret}
    return {"store": {"kind": "s3", **bucket}, "login": login}
