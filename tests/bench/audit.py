"""The audit record: listing, reporting and verifying years of runs; what an entry costs."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from runbook.audit import AuditTrail
from tests.bench.bed import Bed
from tests.bench.past import Past
from tests.bench.rounds import interleaved
from tests.bench.series import Goal, Part, Series
from tests.bench.variant import Took, Variant

_RUNS = 100_000
_YEAR = Past(_RUNS, clusters=_RUNS // 365 + 1)
_DECADE = Past(_RUNS, clusters=30)
_RECORDS = Past(1_500, clusters=30, actions=400)
_ENTRIES = 500
_REPOSITORY = Path(__file__).parents[2]


def measure(bed: Bed, rounds: int) -> Part:
    """Measure the commands as a person starts them, Python's own start included."""
    folder = bed.lab.directory / "bench" / "audit"
    folder.mkdir()
    for name, past in (("year", _YEAR), ("decade", _DECADE), ("records", _RECORDS)):
        past.write(folder / name / "audit")
    size = sum(path.stat().st_size for path in (folder / "records/audit").rglob("*.jsonl"))
    variants = [
        Variant("list", "the newest of 100,000 runs", lambda: _command(folder / "decade", "list")),
        Variant(
            "list of one person",
            "filtered, all as JSON",
            lambda: _command(folder / "year", "list", "--person", "alice", "--limit=0", "--json"),
        ),
        Variant(
            "yearly report",
            "100,000 runs in the year, the index verified",
            lambda: _command(
                folder / "year", "report", "--to=2025-12-31", f"--out={folder}/a.html"
            ),
        ),
        Variant(
            "verify",
            f"{size / 1e6:.0f} MB in {_RECORDS.runs} records and the index",
            lambda: _command(folder / "records", "verify"),
        ),
        Variant("entries", f"{_ENTRIES} entries, each on disk", lambda: _written(folder)),
    ]
    series = interleaved(variants, rounds, bed.servers, bed.console)
    shutil.rmtree(folder)
    return Part(
        "audit",
        "Audit record",
        ("Whole commands, from their start to their end.",),
        tuple(series),
        goals=tuple(_goals({each.name: each for each in series}, size)),
        compared=False,
    )


def _goals(series: dict[str, Series], size: int) -> list[Goal]:
    goals = []
    for name in ("list", "list of one person", "yearly report"):
        memory = tuple(sample.memory / 2**20 for sample in series[name].samples)
        goals.append(Goal(name, series[name].seconds, 5, "at most", "s"))
        goals.append(Goal(f"{name}: memory", memory, 500, "at most", "MiB"))
    speed = tuple(size / 1e6 / seconds for seconds in series["verify"].seconds)
    each = tuple(seconds / _ENTRIES * 1000 for seconds in series["entries"].seconds)
    return [
        *goals,
        Goal("verify", speed, 200, "at least", "MB/s"),
        Goal("an entry, on disk", each, 10, "at most", "ms"),
    ]


def _command(state: Path, *words: str) -> Took:
    """Run `pg-runbooks audit` and give its seconds and its peak memory."""
    argv = (sys.executable, "-m", "deployments.cli", "audit", *words)
    env = os.environ | {"PG_RUNBOOKS_STATE": str(state), "PYTHONPATH": str(_REPOSITORY)}
    began = time.perf_counter()
    null = os.open(os.devnull, os.O_WRONLY)
    actions = [(os.POSIX_SPAWN_DUP2, null, 1)]
    pid = os.posix_spawn(sys.executable, argv, env, file_actions=actions)
    os.close(null)
    _, status, used = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, words
    return Took(time.perf_counter() - began, memory=used.ru_maxrss * 1024)


def _written(folder: Path) -> Took:
    trail = AuditTrail(folder / "entries" / f"{time.time_ns()}.jsonl")
    began = time.perf_counter()
    for number in range(_ENTRIES):
        command = f"pg_basebackup -D /backups/{number} -F tar -X fetch"
        trail.write("intent", step="3", goal=f"goal {number}", where="db1", command=command)
    seconds = time.perf_counter() - began
    trail.close()
    return Took(seconds)
