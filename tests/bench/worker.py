"""One runbook in a process of its own, as a worker runs it; prints what it took as JSON.

Arguments: an order as JSON. Times are of the runbook alone; whoever starts this knows the rest.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.meter import peak_memory
from tests.bench.order import Answer, Order

_FLOWS = Path(__file__).parents[2] / "flows"


def main(text: str) -> None:
    """Carry an order out and print the answer."""
    order = Order(**json.loads(text))
    from blocks.load import use_inventory

    use_inventory(Path(order.inventory))
    conduct = _in_prefect if order.in_prefect else _without_server
    began, seconds, trail = conduct(order)
    if order.synced:
        before = time.perf_counter()
        subprocess.run(("sync", "-f", order.synced), check=True)
        seconds += time.perf_counter() - before
    answer = Answer(began, seconds, trail, peak_memory(os.getpid()))
    print(json.dumps(vars(answer)))


def _without_server(order: Order) -> tuple[float, float, str]:
    from flows._procedure import PROCEDURES
    from runbook.approval import Nobody
    from runbook.watch import LogWatcher

    _import(order.runbook)
    began, before = time.time(), time.perf_counter()
    result = PROCEDURES[order.runbook].conduct(
        {**order.parameters, "dry_run": False}, gate=Nobody(), watcher=LogWatcher()
    )
    return began, time.perf_counter() - before, str(result.trail)


def _in_prefect(order: Order) -> tuple[float, float, str]:
    from prefect.testing.utilities import prefect_test_harness

    module = _import(order.runbook)
    flow = getattr(module, order.runbook.replace("-", "_"))
    trails = Path(os.environ["PG_RUNBOOKS_STATE"]) / "audit"
    known = set(trails.glob("*.jsonl"))
    with prefect_test_harness(server_startup_timeout=120):
        began, before = time.time(), time.perf_counter()
        flow(**order.parameters, dry_run=False)
        seconds = time.perf_counter() - before
    (trail,) = set(trails.glob("*.jsonl")) - known
    return began, seconds, str(trail)


def _import(runbook: str) -> object:
    (path,) = _FLOWS.glob(f"*/{runbook.replace('-', '_')}.py")
    return importlib.import_module(f"flows.{path.parent.name}.{path.stem}")


if __name__ == "__main__":
    main(sys.argv[1])
