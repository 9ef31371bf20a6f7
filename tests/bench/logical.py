"""Recovery from a logical backup until all rows, indexes and constraints are there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import commands, scale
from tests.bench.bed import Bed
from tests.bench.loading import KEY
from tests.bench.rounds import interleaved
from tests.bench.scale import SMALL, Scale
from tests.bench.series import Goal, Part, ratios
from tests.bench.variant import Took, Variant
from tests.lab.postgres import PostgresNode

PAGE, STREAM, OURS = "page: four stages", "openssl | gunzip | psql", "ours"
_MIXED = Scale("logical-mixed", 30, 400_000, 15_000, 800, "512MB")
_HUGE = Scale("logical-huge", 40, 100, 100, 1, "512MB")
_GUID = "2f1c9c3e-0000-4000-8000-000000000001"
_SECRET = "bench-backup-key"
_ROOT = Path(__file__).parents[2]
_DUMP = """"$1" -h "$2" | gzip |
  openssl enc -aes256 -md md5 -pass "pass:$KEY" 2>/dev/null | split -a 1 -d -b 64M - "$3-" """
_DECRYPT = """cat $(ls -1v "$1"-*) |
  openssl enc -aes256 -md md5 -d -pass "pass:$KEY" 2>/dev/null | gunzip -c"""


@dataclass(frozen=True)
class _Case:
    """One input and the server that it is loaded into."""

    bed: Bed
    source: PostgresNode
    target: PostgresNode
    parts: Path
    counts: str

    @property
    def name(self) -> str:
        return self.source.name.removeprefix("logical-")

    @property
    def backup(self) -> Path:
        return self.parts / f"{_GUID}-1740130000000"

    def reset(self) -> None:
        """Make the target as new."""
        for database in ("bench", "app", "many"):
            self.target.psql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        self.target.psql("CHECKPOINT")

    def prove(self) -> None:
        """Insist on the same rows, indexes and relations as in the source."""
        if scale.counts(self.target) != self.counts:
            raise AssertionError(f"{scale.counts(self.target)} instead of {self.counts}")


def measure(bed: Bed, rounds: int) -> Part:
    """Measure from the parts of a backup, as the page's commands write them."""
    small = bed.scale is SMALL
    scales = (Scale("logical-mixed", 6, 80_000, 3_000, 160, "128MB"),) if small else (_MIXED, _HUGE)
    cases = [_case(bed, each) for each in scales]
    variants = [variant for case in cases for variant in _variants(case)]
    series = interleaved(variants, rounds, lambda: _servers(bed, cases), bed.console)
    seconds = {each.name: each.seconds for each in series}
    return Part(
        "logical",
        "Recovery from a logical backup until everything is there",
        (
            "The page: copy the parts, decrypt and unpack into a file, copy that to the node, "
            "psql; all on one machine, so that its copies cost next to nothing.",
            "Ours reads the parts twice: once to verify all of it, once to load it. No temporary "
            "file; rows of each table compared with the dump.",
            "Mixed: jsonb with GIN, a wide table, 800 small tables, pgbench. Huge: one table.",
        ),
        tuple(series),
        tuple(_goal(seconds, case.name) for case in cases),
    )


def _goal(seconds: dict[str, tuple[float, ...]], case: str) -> Goal:
    measured = ratios(seconds[f"{case}: {PAGE}"], seconds[f"{case}: {OURS}"])
    bound = 1.6 if case == "mixed" else 1.0
    return Goal(f"{case}: times as fast as the page's", measured, bound, "at least")


def _case(bed: Bed, wanted: Scale) -> _Case:
    source = bed.node_of(wanted)
    settings = {
        "fsync": "on",
        "autovacuum": "off",
        "log_statement": "none",
        "log_connections": "off",
        "shared_buffers": wanted.shared_buffers,
        "max_wal_size": "1GB",
    }
    target = bed.lab.postgres(f"{wanted.name}-into", authentication="trust", settings=settings)
    case = _Case(bed, source, target, bed.folder(wanted.name), scale.counts(source))
    commands.pipe(
        _DUMP,
        source.bin_directory / "pg_dumpall",
        source.socket_directory,
        case.backup,
        user="postgres",
        env={"KEY": _SECRET},
    )
    case.backup.with_name(f"{case.backup.name}.json").write_text("{}")
    return case


def _servers(bed: Bed, cases: list[_Case]) -> list[int]:
    return [*bed.servers(), *(case.target.pid for case in cases if case.target.pid is not None)]


def _variants(case: _Case) -> list[Variant]:
    def variant(name: str, note: str, run: Callable[[], Took]) -> Variant:
        return Variant(
            f"{case.name}: {name}", note, run, before=case.reset, prove=case.prove, prove_once=False
        )

    return [
        variant(PAGE, "gzip's checksum, when all is loaded", lambda: _by_page(case)),
        variant(STREAM, "the same", lambda: _streamed(case)),
        variant(OURS, "all of it before the first statement; rows", lambda: _ours(case)),
    ]


def _by_page(case: _Case) -> Took:
    folder = case.bed.folder("page-files")
    stages: dict[str, float] = {}
    copied, dump, on_node = folder / case.backup.name, folder / "dump", folder / "dump-on-node"
    steps = {
        "download": lambda: commands.pipe('cp "$1"-? "$2"', case.backup, folder),
        "decrypt": lambda: commands.pipe(_DECRYPT + ' >"$2"', copied, dump, env={"KEY": _SECRET}),
        "copy": lambda: commands.run(("cp", dump, on_node)),
        "psql": lambda: _psql(case, 'psql --quiet postgres <"$1"', on_node),
    }
    for name, step in steps.items():
        with commands.timed() as clock:
            step()
        stages[name] = clock.seconds
    commands.emptied(folder)
    return Took(sum(stages.values()), stages)


def _streamed(case: _Case) -> Took:
    with commands.timed() as clock:
        _psql(case, _DECRYPT + " | psql --quiet postgres", case.backup)
    return Took(clock.seconds)


def _psql(case: _Case, script: str, path: Path) -> None:
    env = {"KEY": _SECRET, "PGHOST": str(case.target.socket_directory)}
    commands.pipe(f"{{ {script}; }} >/dev/null", path, user="postgres", env=env)


def _ours(case: _Case) -> Took:
    target = case.target
    node = {
        "name": target.name,
        "host": {"name": target.name},
        "port": target.port,
        "socket_directory": str(target.socket_directory),
        "bin_directory": str(target.bin_directory),
        "data_directory": str(target.data_directory),
    }
    order = {"folder": str(case.parts), "guid": _GUID, "node": node, "lanes": case.bed.workers}
    argv = (sys.executable, "-m", "tests.bench.loading", json.dumps(order))
    with commands.timed() as clock:
        output = commands.run(argv, env={"PYTHONPATH": str(_ROOT), KEY: _SECRET})
    answer = json.loads(output.splitlines()[-1])
    stages = {"verify": answer["verify"], "load": answer["load"]}
    return Took(clock.seconds, stages, answer["memory"])
