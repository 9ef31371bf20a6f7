"""One run per cluster at a time: kernel locks, freed by any death of their holder."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from runbook.errors import CommandFailed, Refused, RunbookError, Unreachable
from runbook.hosts import Command, Host
from runbook.watch import log

# One for each name of a host: two names of one machine must not keep a run out of its own way.
_NODE_LOCK = "/tmp/pg-runbooks-{cluster}-{host}.lock"  # noqa: S108 - a name, never its contents

_PATIENCE_SECONDS = 5.0

# Holds the lock while stdin is open: the worker's death closes it, and the kernel frees the lock.
# Opened for reading only: in /tmp the kernel refuses to create over a file of another user.
# Where the network forgot the connection, a session of this worker still holds the lock: no run of
# it lives, for it has its own lock now. That session alone is ended; without a worker's name, none.
_HOLD = """umask 022; ended=
[ -e "$1" ] || : >>"$1" || exit 2
exec 9<"$1" || exit 2
flock -w "$3" 9 || {
  [ "$2" ] && for each in /proc/[0-9]*/fd/9; do
    pid=${each#/proc/} pid=${pid%%/*}
    [ "$each" -ef "$1" ] && grep -qzxF "PG_RUNBOOKS_WORKER=$2" "/proc/$pid/environ" &&
      kill "$pid" && ended=$pid
  done 2>/dev/null
  [ "$ended" ] && flock -w 5 9 || exit 75
}
echo held
PG_RUNBOOKS_WORKER=$2 exec cat >/dev/null
"""

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

    The lock on the hosts keeps workers on other machines out. Refused when it is held;
    a host that does not answer cannot be locked and is told, because it may be the disaster.
    `former` hosts are those that the cluster leaves: a worker with an older inventory may be at
    work there, by another name of the host. Only such a one hinders, and nothing else of them.
    A lock on a host is waited for `patience` seconds: its holder may be about to end.
    """
    with ExitStack() as held:
        held.enter_context(_worker_lock(folder, cluster, holder))
        lock = partial(_host_lock, cluster=cluster, patience=patience)
        worker, own = _identity(folder), [host_lock_path(host, cluster) for host in hosts]
        for host, path in zip(hosts, own, strict=True):
            held.enter_context(lock(host, path, worker=worker))
        for host in former:
            exact = host_lock_path(host, cluster)
            for path in _known_on(host, cluster):
                if path not in own:
                    # Any other may be that of a cluster whose name goes on: its run lives.
                    whose = worker if path == exact else ""
                    _hold_if_it_can_be(held, lock(host, path, worker=whose))
        yield


def host_lock_path(host: Host, cluster: str) -> str:
    """Name the lock file of a cluster on a host."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", host.name)
    return _NODE_LOCK.format(cluster=cluster, host=plain)


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
            raise _held(cluster, _described(path)) from None
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


def _hold_if_it_can_be(held: ExitStack, lock: AbstractContextManager[None]) -> None:
    try:
        held.enter_context(lock)
    except CommandFailed as error:
        log.warning("not locked: %s", error.message)


@contextmanager
def _host_lock(
    host: Host, path: str, *, cluster: str, worker: str, patience: float
) -> Iterator[None]:
    hold = Command(("sh", "-c", _HOLD, "hold", path, worker, f"{patience:g}"))
    with ExitStack() as stack:
        try:
            process = stack.enter_context(host.running(hold))
            answer = process.read(16)
        except Unreachable as error:
            log.warning("%s cannot be locked: %s", host, error.message)
            yield
            return
        if not answer:
            code = process.wait(5)
            if code == 75:
                raise _held(cluster, f"another worker holds it on {host}: {path}")
            raise host.failed(hold, code, process.stderr())
        yield


def _identity(folder: Path) -> str:
    """Name this worker: nobody else has its locks, whatever his host is called."""
    path = folder / "worker.id"
    if not path.exists():
        fresh = folder / f"worker.id.{os.getpid()}"
        fresh.write_text(uuid4().hex)
        fresh.replace(path)
    return f"{socket.gethostname()}-{path.read_text()}"


def _described(path: Path) -> str:
    try:
        about = json.loads(path.read_text())
    except (OSError, ValueError):
        return "its holder has not written its name yet"
    return f"{about['run']} since {about['since']} (process {about['pid']} on {about['host']})"


def _held(cluster: str, holder: str) -> Refused:
    return Refused(
        f"another run holds cluster {cluster}",
        detail=holder,
        hint="Wait until it ends, or cancel it; the lock is freed with its process.",
    )
