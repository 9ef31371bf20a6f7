"""The lock of a cluster on a host: a session there holds it, and another where that has ended."""

from __future__ import annotations

import re
import threading
import time
from contextlib import ExitStack, suppress

from runbook.errors import ConnectionLost, Held, HostUnreachable, LockLost
from runbook.hosts import Command, Host
from runbook.hosts.process import Process
from runbook.watch import log

# One for each name of a host: two names of one machine must not keep a run out of its own way.
_NODE_LOCK = "/tmp/pg-runbooks-{cluster}-{host}.lock"  # noqa: S108 - a name, never its contents

_HELD_BY_ANOTHER = 75
_SPARED = 10.0
"""A host that cannot be reached is tried again after so many times what the trial has cost."""

# Holds the lock while stdin is open: the worker's death closes it, and the kernel frees the lock.
# Opened for reading only: in /tmp the kernel refuses to create over a file of another user.
# Where the network forgot the connection, a session of this worker still holds the lock: no run of
# it lives, for it has its own lock now. That session alone is ended; without a worker's name, none.
# A run leaves its mark, as a link that leads nowhere: it needs no space on a full disk, and no
# right to the file of another user. Whoever takes the lock again leaves none, and is told all.
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
[ -z "$4" ] || ln -sfn "$4" "$1-$(id -u)" || exit 2
echo held $(for each in "$1"-*; do readlink "$each"; done)
PG_RUNBOOKS_WORKER=$2 exec cat >/dev/null
"""


class HostLock:
    """The lock of a cluster on a host, by its path there.

    `worker` names the sessions that it may end, `mark` the run: no other has ever had it. The lock
    is waited for `patience` seconds: its holder may be about to end.
    """

    def __init__(
        self, host: Host, path: str, *, cluster: str, worker: str, mark: str, patience: float
    ) -> None:
        self.host, self._path, self._cluster = host, path, cluster
        self._worker, self._mark, self._patience = worker, mark, patience
        self._session = ExitStack()
        self._process: Process | None = None
        self._known: frozenset[str] = frozenset()
        self._spared_until = 0.0
        self._turn = threading.Lock()

    def take(self) -> None:
        """Take it and leave the mark; Held when another holds it, Unreachable without a host."""
        self._known = self._hold(self._mark)

    def keep(self) -> str:
        """Take it again when its session has ended; tell of that, or nothing when it stands.

        LockLost when another run holds it, or may have held it meanwhile. A host that cannot be
        reached stays unlocked until it can be: what is to be done there fails by itself.
        """
        with self._turn:
            if self._process is not None and self._process.is_running():
                return ""
            began = time.monotonic()
            if began < self._spared_until:
                return ""
            try:
                self._insist(self._held_again())
            except Held as error:
                raise self._lost(error.detail) from error
            except HostUnreachable as error:
                self._spared_until = began + _SPARED * (time.monotonic() - began)
                log.warning("%s cannot be locked again: %s", self.host, error.message)
                return ""
        return f"the lock on {self.host} was lost with its connection; nobody had it meanwhile"

    def release(self) -> None:
        """Let it go; harmless when it is not held."""
        self._process = None
        self._session.close()

    def _hold(self, mark: str) -> frozenset[str]:
        """Open the session that holds it; give the marks of all who were the last of their user."""
        argv = ("sh", "-c", _HOLD, "hold", self._path, self._worker, f"{self._patience:g}", mark)
        hold = Command(argv)
        self.release()
        process = self._session.enter_context(self.host.running(hold))
        answer = _answer(process)
        if not answer:
            code = process.wait(5)
            if code == _HELD_BY_ANOTHER:
                raise already_held(
                    self._cluster, f"another worker holds it on {self.host}: {self._path}"
                )
            raise self.host.failed(hold, code, process.stderr())
        self._process = process
        return frozenset(answer[1:])

    def _held_again(self) -> frozenset[str]:
        """Try once more where the new connection breaks, too: the next command may get through."""
        with suppress(ConnectionLost):
            return self._hold("")
        return self._hold("")

    def _insist(self, marks: frozenset[str]) -> None:
        """Let it go again unless the run's mark is there, and no other than those before."""
        others = marks - self._known
        if others or self._mark not in marks:
            self.release()
            seen = f"another run has held it on {self.host}: {', '.join(sorted(others))}"
            gone = f"its mark on {self.host} is gone, as after a start of the machine: whether "
            raise self._lost(seen if others else f"{gone}another run was in is not known")

    def _lost(self, seen: str) -> LockLost:
        return LockLost(
            f"cluster {self._cluster} is no longer this run's alone",
            detail=f"the lock on {self.host} was lost with its connection; {seen}",
            hint="Nothing more was begun. Find out what the other run has done, or does, then "
            "start this one again: steps already done are found done.",
        )


def host_lock_path(host: Host, cluster: str) -> str:
    """Name the lock file of a cluster on a host; its marks lie beside it, one for each login."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", host.name)
    return _NODE_LOCK.format(cluster=cluster, host=plain)


def already_held(cluster: str, holder: str) -> Held:
    """Make the error for a cluster that another run holds."""
    return Held(
        f"another run holds cluster {cluster}",
        detail=holder,
        hint="Wait until it ends, or cancel it; the lock is freed with its process.",
    )


def _answer(process: Process) -> list[str]:
    """Give the words of the line that tells of the lock; none when the command has ended."""
    text = ""
    while piece := process.read(4096):
        text += piece.decode(errors="replace")
        for line in text.split("\n")[:-1]:
            if line.split()[:1] == ["held"]:
                return line.split()
    return []
