"""Measure, and say what came out: python -m tests.bench [PART ...]."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from tests.bench import report
from tests.bench.bed import Bed
from tests.bench.scale import SCALES
from tests.bench.series import Part
from tests.lab.errors import LabError
from tests.lab.loopback import LoopbackLab

PARTS = (
    *("backup", "s3", "restore", "outage", "promotion"),
    *("orchestration", "audit", "logical", "link", "reading", "dumps", "components"),
)
_PEERS = ("barman", "pgbackrest", "zstd")
_RESULTS = Path(__file__).parents[2] / "bench-results"


def main() -> None:
    """Measure the parts that were asked for."""
    wanted = _arguments()
    _insist_on_peers()
    console = Console(width=max(Console().width, 160))
    began = datetime.now(UTC)
    directory = wanted.results / f"{began:%Y%m%d-%H%M%S}"
    parts: list[Part] = []
    failed: list[str] = []
    with LoopbackLab() as lab:
        bed = Bed(lab, SCALES[wanted.scale], console)
        (lab.directory / "bench").mkdir()
        for name in wanted.parts or PARTS:
            console.rule(f"{name}, {wanted.rounds} rounds")
            module = importlib.import_module(f"tests.bench.{name}")
            try:
                parts.append(module.measure(bed, wanted.rounds))
            except (LabError, AssertionError) as error:
                failed.append(name)
                console.print(f"{name} failed: {error}", style="red", markup=False)
                continue
            report.shown(parts[-1], console)
            page = report.written(parts, _conditions(wanted, began), directory)
            console.print(f"So far in {page} and results.json beside it.")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--scale", choices=sorted(SCALES), default="full", help="full: 3 GB")
    parser.add_argument("--results", type=Path, default=_RESULTS, help="where reports go")
    return parser.parse_args()


def _insist_on_peers() -> None:
    missing = [name for name in _PEERS if shutil.which(name) is None]
    if missing:
        raise LabError(
            f"there is no {', no '.join(missing)} to measure against",
            hint=f"As root on Debian 12: apt-get install {' '.join(_PEERS)}",
        )


def _conditions(wanted: argparse.Namespace, began: datetime) -> list[str]:
    return [
        f"Began {began:%Y-%m-%d %H:%M} UTC; data set {wanted.scale}; {wanted.rounds} rounds, "
        "interleaved; medians with least and greatest; ratios taken round by round",
        f"{os.cpu_count()} CPUs; load average at the end {os.getloadavg()[0]:.1f}; "
        "source data in the page cache; everything on one machine and one disk",
        "CPU s: the variant with its servers; foreign: everything else that ran meanwhile, the "
        "kernel's writing back included",
        "MB RSS: for ours the worker process, for others their largest process",
    ]


if __name__ == "__main__":
    main()
