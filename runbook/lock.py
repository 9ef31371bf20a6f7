"""One run per cluster at a time: kernel locks, freed by any death of their holder."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from runbook.errors import CommandFailed, RunbookError, Unreachable
from runbook.host_lock import HostLock, already_held, host_lock_path
from runbook.hosts import Host
from runbook.watch import log
from runbook.whole_file import write_whole

_PATIENCE_SECONDS = 5.0

_held: ContextVar[tuple[HostLock, ...]] = ContextVar("held", default=())
"""The locks on hosts that this run has taken."""

# Every name that a run of the cluster has locked this machine by.
_KNOWN = """for each in /tmp/pg-runbooks-"$1"-*.lock; do [ ! -e "$each" ] || echo "$each"; done"""


@contextmanager
def only_run(
    folder: Path,
    cluster: str,
    hosts: Sequence[Host],
    *,
    holder: str,
    former: Sequence[Host] = (),
    patience: float = _PATIENCE_SECONDS,
) -> Iterator[None]:
    """Hold the cluster for this run, on this worker and on every reachable host of it.

    The lock on the hosts keeps workers on other machines out. Held when another run has it;
    a host that does not answer cannot be locked and is told, because it may be the disaster.
    `former` hosts are those that the cluster leaves: a worker with an older inventory may be at
    work there, by another name of the host. Only such a one hinders, and nothing else of them.
    A lock on a host is waited for `patience` seconds: its holder may be about to end.
    """
    with ExitStack() as held:
        held.enter_context(_worker_lock(folder, cluster, holder))
        mark = f"{holder.rpartition(' ')[2]}-{uuid4().hex[:8]}"
        lock = partial(HostLock, cluster=cluster, mark=mark, patience=patience)
        worker, own = _identity(folder), [host_lock_path(host, cluster) for host in hosts]
        locks = [lock(host, path, worker=worker) for host, path in zip(hosts, own, strict=True)]
        taken = [each for each in locks if _is_taken(each, held)]
        for host in former:
            exact = host_lock_path(host, cluster)
            for path in _known_on(host, cluster):
                if path not in own:
                    # Any other may be that of a cluster whose name goes on: its run lives.
                    whose = worker if path == exact else mark
                    taken += _taken_if_it_can_be(lock(host, path, worker=whose), held)
        held.callback(_held.reset, _held.set((*_held.get(), *taken)))
        yield


def taken_again() -> Iterator[str]:
    """Take every lock on a host again that was lost with its connection, and tell of each.

    To be asked before every change. While the connections live nothing is asked of the hosts.
    LockLost when another run was in meanwhile, or is.
    """
    return (told for lock in _held.get() if (told := lock.keep()))


def holder_of(folder: Path, cluster: str) -> str:
    """Tell who holds a cluster on this worker; empty when nobody does."""
    path = folder / f"{cluster}.lock"
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _described(path)
    finally:
        os.close(descriptor)
    return ""


@contextmanager
def _worker_lock(folder: Path, cluster: str, holder: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{cluster}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise already_held(cluster, _described(path)) from None
        about = {"run": holder, "host": socket.gethostname(), "pid": os.getpid()}
        about["since"] = datetime.now(UTC).isoformat(timespec="seconds")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(about).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _known_on(host: Host, cluster: str) -> tuple[str, ...]:
    """Name the locks of a cluster on a host, whatever that is called by those who made them."""
    try:
        known = host.read("sh", "-c", _KNOWN, "known", cluster).splitlines()
    except RunbookError as error:
        log.warning("%s cannot be locked: %s", host, error.message)
        return ()
    return tuple(dict.fromkeys((*known, host_lock_path(host, cluster))))


def _is_taken(lock: HostLock, held: ExitStack) -> bool:
    """Hold a lock for a block, unless its host cannot be reached."""
    held.callback(lock.release)
    try:
        lock.take()
    except Unreachable as error:
        log.warning("%s cannot be locked: %s", lock.host, error.message)
        return False
    return True


def _taken_if_it_can_be(lock: HostLock, held: ExitStack) -> tuple[HostLock, ...]:
    try:
        return (lock,) if _is_taken(lock, held) else ()
    except CommandFailed as error:
        log.warning("not locked: %s", error.message)
        return ()


def _identity(folder: Path) -> str:
    """Name this worker: nobody else has its locks, whatever his host is called."""
    path = folder / "worker.id"
    if not path.exists():
        write_whole(path, uuid4().hex)
    return f"{socket.gethostname()}-{path.read_text()}"


def _described(path: Path) -> str:
    try:
        about = json.loads(path.read_text())
    except (OSError, ValueError):
        return "its holder has not written its name yet"
    return f"{about['run']} since {about['since']} (process {about['pid']} on {about['host']})"
