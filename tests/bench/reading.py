"""Decrypting and inflating the parts of a logical backup, with nothing behind it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from pydantic import SecretStr

from runbook.logical.reading import stored_dumps
from runbook.logical.settings import LogicalBackups
from runbook.stores import FolderStore, StoreSecret
from tests.bench import commands, logical_case
from tests.bench.bed import Bed
from tests.bench.loading import KEY
from tests.bench.logical_case import DECRYPT, GUID, SECRET, Case
from tests.bench.meter import peak_memory
from tests.bench.rounds import interleaved
from tests.bench.series import Goal, Part, ratios
from tests.bench.variant import Took, Variant

_AT_LEAST = 3.0
_ROOT = Path(__file__).parents[2]


def measure(bed: Bed, rounds: int) -> Part:
    """Measure the page's stage beside our reading, which checks the dump's end and text too."""
    case = logical_case.mixed(bed)
    folder = bed.folder("inflated")
    env, dump = {"KEY": SECRET}, folder / "dump"

    def page() -> Took:
        with commands.timed() as clock:
            commands.pipe(DECRYPT + ' >"$2"', case.backup, dump, env=env)
        return Took(clock.seconds)

    variants = [
        Variant("page: openssl | gunzip >file", "gzip's checksum", page, after=dump.unlink),
        Variant("ours, in one process", "gzip's checksum, dump's footer", lambda: _ours(case)),
    ]
    series = interleaved(variants, rounds, bed.servers, bed.console)
    measured = ratios(series[0].seconds, series[1].seconds)
    return Part(
        "reading",
        "Decrypting and inflating a logical backup",
        ("Ours hands the text on and writes no file; its interpreter's start is not counted.",),
        tuple(series),
        (Goal("times as fast as the page's stage", measured, _AT_LEAST, "at least"),),
    )


def _ours(case: Case) -> Took:
    argv = (sys.executable, "-m", "tests.bench.reading", str(case.parts))
    output = commands.run(argv, env={"PYTHONPATH": str(_ROOT), KEY: SECRET})
    answer = json.loads(output.splitlines()[-1])
    return Took(answer["seconds"], memory=answer["memory"])


def main(folder: str) -> None:
    """Read the newest backup of a folder to its last byte; print what it took as JSON."""
    keys = {"current": SecretStr(os.environ[KEY])}
    store = FolderStore(path=folder).open(StoreSecret(), None)
    stored = stored_dumps(store, LogicalBackups(store="parts", guid=GUID))[-1]
    began = time.perf_counter()
    for _ in stored.plain(keys):
        pass
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "memory": peak_memory(os.getpid())}))


if __name__ == "__main__":
    main(sys.argv[1])
