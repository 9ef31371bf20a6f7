"""Connections into a BOSH machine: made by `bosh ssh`, used by OpenSSH's own sharing."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runbook.errors import ConnectionLost, HostUnreachable
from runbook.hosts.process import LocalProcess

if TYPE_CHECKING:
    from runbook.hosts.bosh import Bosh

_CONNECT_SECONDS = 120.0
_LOST = 255
_AT_ONCE = 8
"""Commands in a connection: sshd takes ten (MaxSessions), and bosh's own is one of them."""

# bosh ends with the worker, which holds the other end of stdin; and in its own time, because it
# still has to take its user from the machine. Arguments: environment file or empty, and bosh's own.
_MASTER = """file=$1; shift
if [ -n "$file" ]; then . "$file" || exit; fi
exec 3<&0
"$@" </dev/null 3<&- & bosh=$!
{ cat <&3 >/dev/null; kill -s TERM "$bosh"; } 2>/dev/null & leash=$!
exec 3<&-
wait "$bosh"; code=$?
kill -s TERM "$leash" 2>/dev/null
exit "$code"
"""

_sessions: dict[Bosh, list[Session]] = {}
_locks: dict[Bosh, threading.RLock] = {}
_lock = threading.Lock()


def start(way: Bosh, line: str) -> LocalProcess:
    """Start a command line in a session that has room for it."""
    with _lock_of(way):
        return of(way).start(line)


def of(way: Bosh) -> Session:
    """Give a session that all share, or a further one when it is full; HostUnreachable without."""
    with _lock_of(way):
        sessions = _sessions.setdefault(way, [])
        for known in [each for each in sessions if not each.is_full()]:
            if known.is_alive():
                return known
            sessions.remove(known)
            known.end()
        session = Session(way)
        try:
            session.open()
        except BaseException:
            session.end()
            raise
        sessions.append(session)
        return session


def close(way: Bosh) -> None:
    """End the kept sessions."""
    with _lock:
        sessions = _sessions.pop(way, [])
    for session in sessions:
        session.end()


def _lock_of(way: Bosh) -> threading.RLock:
    with _lock:
        return _locks.setdefault(way, threading.RLock())


class Session:
    """A running `bosh ssh` whose connection other ssh commands use through a socket."""

    def __init__(self, way: Bosh) -> None:
        self._way = way
        self._folder = tempfile.TemporaryDirectory(prefix="pg-runbooks-")
        self._socket = f"{self._folder.name}/bosh"
        shared = ("ControlMaster=yes", f"ControlPath={self._socket}", "ControlPersist=no")
        options = tuple(f"--opts=-o{option}" for option in shared)
        argv = (*way.command(), "-n", *options, "-c", "sleep infinity")
        script = ("sh", "-c", _MASTER, "bosh", way.environment_file)
        self._master = LocalProcess((*script, *argv))
        self._commands: list[LocalProcess] = []

    def open(self) -> None:
        """Wait until the connection is there."""
        deadline = time.monotonic() + _CONNECT_SECONDS
        while not self.is_alive():
            with suppress(TimeoutError):
                self._master.wait(0.2)
                raise self._refused("bosh has ended")
            if time.monotonic() > deadline:
                raise self._refused(f"no connection in {_CONNECT_SECONDS:.0f} s")

    def is_alive(self) -> bool:
        """Tell whether the connection is there."""
        return Path(self._socket).exists() and self._control("-O", "check") == 0

    def is_full(self) -> bool:
        """Tell whether as many commands run in it as it takes."""
        self._commands = [each for each in self._commands if each.is_running()]
        return len(self._commands) >= _AT_ONCE

    def start(self, line: str) -> LocalProcess:
        """Start a command line on the machine."""
        process = _SessionProcess(self, (*self._ssh("-T"), "--", line))
        self._commands.append(process)
        return process

    @contextmanager
    def forwarded(self, forward: str) -> Iterator[None]:
        """Forward a local socket for the time of a block, as ssh -L has it."""
        if self._control("-O", "forward", "-L", forward) != 0:
            raise self.lost("it forwards no connection")
        try:
            yield
        finally:
            self._control("-O", "cancel", "-L", forward)

    def end(self) -> None:
        """End the connection; bosh goes on for a moment to take its user away."""
        self._master.close_stdin()
        with suppress(TimeoutError):
            self._master.wait(10)
        self._master.kill()
        self._folder.cleanup()

    def lost(self, why: str) -> ConnectionLost:
        """Make the error of a connection that is no more."""
        return ConnectionLost(
            f"the connection through bosh to {self._way.instance} was lost",
            detail=f"{self._way}: {why}",
            hint="Check the machine with `bosh instances`, then start the runbook again. sshd must "
            f"take {_AT_ONCE + 2} sessions in a connection (MaxSessions, 10 by default).",
        )

    def _ssh(self, *options: str) -> tuple[str, ...]:
        """Without the connection, ssh would look for the machine by itself: it must not."""
        only = ("-S", self._socket, "-o", "ControlMaster=no", "-o", "ProxyCommand=false")
        quiet = ("-o", "BatchMode=yes", "-o", "LogLevel=ERROR")
        return ("ssh", "-F", "none", *only, *quiet, *options, self._way.instance.replace("/", "-"))

    def _control(self, *options: str) -> int:
        process = LocalProcess(self._ssh(*options))
        try:
            process.close_stdin()
            return process.wait(10)
        except TimeoutError:
            return _LOST
        finally:
            process.kill()

    def _refused(self, why: str) -> HostUnreachable:
        said = self._master.stderr().strip()
        return HostUnreachable(
            f"bosh makes no connection to {self._way.instance} of {self._way.deployment}",
            detail=f"{self._way}: {why}\n{said}".rstrip(),
            hint="Type that line as the worker's user. Is it logged in to the director "
            "(environment_file, or bosh log-in), and is ssh installed on the worker?",
        )


class _SessionProcess(LocalProcess):
    """A command in the shared connection: ssh's own failure is not the command's exit code."""

    def __init__(self, session: Session, argv: tuple[str, ...]) -> None:
        self._session = session
        super().__init__(argv)

    def wait(self, timeout: float | None = None) -> int:
        code = super().wait(timeout)
        if code == _LOST and (not self._session.is_alive() or "refused by peer" in self.stderr()):
            raise self._session.lost(self.stderr().strip() or "it ended while the command ran")
        return code
