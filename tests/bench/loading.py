"""Our reading, verification and loading of a logical backup in a process of its own.

Arguments as JSON: store with the parts and its login, GUID, host and the rest of the node (all as
the inventory has them), lanes. The key stands in the environment. Prints what it took as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time

from pydantic import SecretStr, TypeAdapter

from runbook.logical.load import load, survey
from runbook.logical.reading import stored_dumps
from runbook.logical.settings import LogicalBackups
from runbook.postgres import Node
from runbook.stores import AnyStore, StoreSecret
from tests.bench.meter import peak_memory

KEY = "BENCH_BACKUP_KEY"


def main(text: str) -> None:
    """Verify the newest backup to its last byte, then load it."""
    order = json.loads(text)
    keys = {"current": SecretStr(os.environ[KEY])}
    location: AnyStore = TypeAdapter(AnyStore).validate_python(order["store"])
    store = location.open(StoreSecret.model_validate(order["login"]), None)
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
