"""A primary that dies in a bulk load: its standbys hold half a record, and never get the rest."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any

import psycopg

from tests.lab import judge, processes, trouble
from tests.lab.errors import LabError
from tests.lab.postgres import PostgresNode

_LOAD = "CREATE TABLE filled AS SELECT n, repeat('x', 300) FROM generate_series(1, 10000000) AS n"
_LARGE_RECORD = "SELECT pg_logical_emit_message(false, 'half', repeat('x', 900000000))"
_TWO_SEGMENTS = 32 << 20
_TRIES = 20


def killed_within(primary: PostgresNode, *standbys: PostgresNode) -> None:
    """Kill a primary that loads and commits nothing, when all standbys hold half a record.

    A primary writes and sends whole pages while nobody commits. The loading process is held until
    its standbys have the same, and goes on where that ends with a whole record.
    """
    client = psycopg.connect(primary.conninfo("shop"))
    load = threading.Thread(target=_load, args=(client, _LOAD), daemon=True)
    load.start()
    for _ in range(_TRIES):
        begun = judge.position(primary)
        more = f"{primary.name} has written more"
        processes.until(lambda at=begun: judge.position(primary) > at + (1 << 20), more)
        os.kill(client.info.backend_pid, signal.SIGSTOP)
        if _have_settled_in_a_record(standbys):
            trouble.kill(primary)
            load.join(20)
            client.close()
            return
        os.kill(client.info.backend_pid, signal.SIGCONT)
    raise LabError(f"in {_TRIES} tries no record was cut in two")


def killed_within_many_segments(primary: PostgresNode, *standbys: PostgresNode) -> None:
    """Kill a primary that writes one record over many segments, when its standbys hold half of it.

    Each segment is sent when it is full.
    """
    begun = judge.position(primary)
    client = psycopg.connect(primary.conninfo("shop"))
    load = threading.Thread(target=_load, args=(client, _LARGE_RECORD), daemon=True)
    load.start()
    have = f"{', '.join(node.name for node in standbys)} have two segments of it"
    processes.until(
        lambda: all(judge.received(node) > begun + _TWO_SEGMENTS for node in standbys), have
    )
    os.kill(client.info.backend_pid, signal.SIGSTOP)
    settled = _have_settled_in_a_record(standbys)
    trouble.kill(primary)
    load.join(20)
    client.close()
    if not settled:
        raise LabError("the record was not cut in two, or not at the same place")


def _load(client: psycopg.Connection[Any], statement: str) -> None:
    with suppress(psycopg.Error):
        client.execute(statement.encode())


def _have_settled_in_a_record(standbys: tuple[PostgresNode, ...]) -> bool:
    before, seen = None, _positions(standbys)
    while seen != before:
        time.sleep(1.0)
        before, seen = seen, _positions(standbys)
    return len(set(seen)) == 1 and all(received > replayed for received, replayed in seen)


def _positions(standbys: tuple[PostgresNode, ...]) -> list[tuple[int, int]]:
    return [(judge.received(node), judge.position(node)) for node in standbys]
