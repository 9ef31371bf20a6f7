"""Backups that are cut short: told, never taken for whole, and no walsender is left."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runbook.errors import Unreachable
from runbook.stream.base_backup import BackupOptions, Data, base_backup
from runbook.stream.replication import Replication, ServerError
from runbook.stream.take import take
from tests.contract.stream.server import Server
from tests.lab import processes


def gone(source: Server) -> bool:
    """Whether every walsender is gone in time."""
    processes.until(lambda: not source.walsenders(), "no walsender is left")
    return True


def at_work(source: Server, then: Callable[[], object]) -> threading.Thread:
    """Do something a second after a backup has begun."""

    def work() -> None:
        begun = "select count(*) from pg_stat_replication where state = 'backup'"
        processes.until(lambda: source.psql(begun) == "1", "a backup is under way")
        time.sleep(1)
        then()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def slow(source: Server, *, fast: bool = True) -> tuple[Replication, BackupOptions]:
    options = BackupOptions("slow", fast_checkpoint=fast, max_rate=1024)
    return Replication(source.conninfo), options


def test_a_backup_closed_early_leaves_no_walsender(any_server: Server) -> None:
    connection, options = slow(any_server)
    events = base_backup(connection, options)
    next(event for event in events if isinstance(event, Data))
    assert any_server.walsenders() == 1
    events.close()  # type: ignore[attr-defined]
    assert gone(any_server)


def test_a_backup_closed_while_it_waits_for_a_checkpoint_leaves_no_walsender(
    any_server: Server,
) -> None:
    any_server.psql("drop table if exists dirty")
    any_server.psql("create table dirty as select generate_series(1, 500000)")
    connection, options = slow(any_server, fast=False)
    connection.send(options.command())
    time.sleep(1)
    assert any_server.walsenders() == 1
    connection.close()
    assert gone(any_server)


def test_a_server_that_falls_silent_is_unreachable(any_server: Server) -> None:
    options = BackupOptions("slow", max_rate=1024)
    connection = Replication(any_server.conninfo, stall_timeout=1)
    events = base_backup(connection, options)
    next(event for event in events if isinstance(event, Data))
    pid = int(any_server.psql("select pid from pg_stat_replication"))
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unreachable, match="No byte arrived"):
            list(events)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert gone(any_server)


def test_a_sink_that_fails_stops_the_backup(any_server: Server, tmp_path: Path) -> None:
    connection, options = slow(any_server)
    full = Path("/dev/full")
    with pytest.raises(OSError, match="No space"):
        take(base_backup(connection, options), lambda _: full.open("wb", buffering=0))
    assert gone(any_server)


@pytest.mark.parametrize("fast", [True, False])
def test_another_thread_cancels_a_backup(any_server: Server, tmp_path: Path, fast: bool) -> None:
    any_server.psql(
        "drop table if exists dirty; create table dirty as select generate_series(1, 300000)"
    )
    connection, options = slow(any_server, fast=fast)
    canceller = at_work(any_server, connection.cancel)
    began = time.monotonic()
    with pytest.raises(ServerError) as stopped:
        take(base_backup(connection, options), lambda name: (tmp_path / name).open("wb"))
    canceller.join()
    assert stopped.value.sqlstate == "57014"
    assert time.monotonic() - began < 30
    assert gone(any_server)
    assert not (tmp_path / "backup_manifest").exists()


def test_a_walsender_that_is_ended_is_an_error(any_server: Server, tmp_path: Path) -> None:
    connection, options = slow(any_server)
    end = "select pg_terminate_backend(pid) from pg_stat_replication"
    ender = at_work(any_server, lambda: any_server.psql(end))
    with pytest.raises((ServerError, Unreachable)) as stopped:
        take(base_backup(connection, options), lambda name: (tmp_path / name).open("wb"))
    ender.join()
    assert "terminating" in str(stopped.value)
    assert not (tmp_path / "backup_manifest").exists()
