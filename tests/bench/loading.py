"""Our reading, verification and loading of a logical backup in a process of its own.

Arguments as JSON: folder with the parts, GUID, host (as the inventory has it), the rest of the
node, lanes. The key stands in the environment. Prints what it took as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time

from pydantic import SecretStr

from runbook.logical.load import load, survey
from runbook.logical.reading import stored_dumps
from runbook.logical.settings import LogicalBackups
from runbook.postgres import Node
from runbook.stores import FolderStore, StoreSecret
from tests.bench.meter import peak_memory

KEY = "BENCH_BACKUP_KEY"


def main(text: str) -> None:
    """Verify the newest backup to its last byte, then load it."""
    order = json.loads(text)
    keys = {"current": SecretStr(os.environ[KEY])}
    store = FolderStore(path=order["folder"]).open(StoreSecret(), None)
    settings = LogicalBackups(store="parts", guid=order["guid"])
    began = time.perf_counter()
    stored = stored_dumps(store, settings)[-1]
    contents = survey(stored.plain(keys))
    surveyed = time.perf_counter()
    expected = ('role "postgres" already exists',)
    node = Node.model_validate(order["node"])
    loaded = load(stored.plain(keys), contents, node, lanes=order["lanes"], expected=expected)
    ended = time.perf_counter()
    if sum(loaded.rows.values()) != contents.rows:
        raise SystemExit(f"{sum(loaded.rows.values())} rows instead of {contents.rows}")
    answer = {
        "verify": surveyed - began,
        "load": ended - surveyed,
        "memory": peak_memory(os.getpid()),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1])
