"""A running command: bytes in, bytes out, and a sure end."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Protocol

import paramiko

from runbook.errors import ConnectionLost

_STDERR_KEPT = 64 * 1024
# What a login has, too. The rest is the worker's own, passwords among it, and no business of the
# servers that are started here: they would keep it, for their user to read.
_OF_A_LOGIN = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
    }
)
_PATIENCE_SECONDS = 8  # a leash gives its command 5 s between TERM and KILL


class Process(Protocol):
    """A command that is running on a host."""

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes to standard input; BrokenPipeError when nobody reads them any more."""

    def close_stdin(self) -> None:
        """Say that standard input has ended."""

    def read(self, size: int = 1 << 20) -> bytes:
        """Give up to `size` bytes of standard output; b"" at its end."""

    def wait(self, timeout: float | None = None) -> int:
        """Give the exit code; TimeoutError after `timeout` seconds."""

    def is_running(self) -> bool:
        """Tell, by what is known here, whether its session lives; nothing is sent."""

    def stderr(self) -> str:
        """Give the last 64 kB of standard error so far."""

    def kill(self) -> None:
        """End the command and everything it started; harmless when it has ended."""


def gathered(process: Process, size: int) -> Iterator[bytes]:
    """Give standard output in pieces of at least `size` bytes; only the last may be smaller.

    For what writes little at a time, as pg_dump does with 4 KiB: a piece costs whoever hands it on
    about the same, whatever its size.
    """
    pieces, length = [], 0
    while piece := process.read():
        pieces.append(piece)
        length += len(piece)
        if length >= size:
            yield b"".join(pieces)
            pieces, length = [], 0
    if pieces:
        yield b"".join(pieces)


class _Tail:
    """Keeps the end of a stream that nobody else reads, so that the command never blocks on it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = b""
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        try:
            while chunk := self._stream.read(8192):
                self._kept = (self._kept + chunk)[-_STDERR_KEPT:]
        except (OSError, ValueError):
            return

    def text(self, *, complete: bool) -> str:
        if complete:
            self._thread.join(timeout=5)
        return self._kept.decode(errors="replace")


class LocalProcess:
    """A command on the worker's own machine, in a session of its own."""

    def __init__(self, argv: tuple[str, ...]) -> None:
        try:
            self._popen = _popen(argv)
        except OSError:
            # A shell tells what is wrong with the program, as one does over SSH: 126 or 127.
            self._popen = _popen(("sh", "-c", 'exec "$@"', "sh", *argv))
        assert self._popen.stderr is not None
        self._tail = _Tail(self._popen.stderr)

    def write(self, data: bytes | memoryview) -> None:
        assert self._popen.stdin is not None
        view = memoryview(data)
        while view:
            view = view[self._popen.stdin.write(view) :]

    def close_stdin(self) -> None:
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.close()
        except BrokenPipeError:
            return

    def read(self, size: int = 1 << 20) -> bytes:
        assert self._popen.stdout is not None
        return self._popen.stdout.read(size) or b""

    def wait(self, timeout: float | None = None) -> int:
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None

    def is_running(self) -> bool:
        return self._popen.poll() is None

    def stderr(self) -> str:
        return self._tail.text(complete=self._popen.poll() is not None)

    def kill(self) -> None:
        if self._popen.poll() is None:
            self.close_stdin()
            try:
                os.killpg(self._popen.pid, signal.SIGTERM)
                self._popen.wait(_PATIENCE_SECONDS)
            except (subprocess.TimeoutExpired, ProcessLookupError, PermissionError):
                self._kill_hard()
        for stream in (self._popen.stdin, self._popen.stdout):
            if stream is not None:
                stream.close()

    def _kill_hard(self) -> None:
        try:
            os.killpg(self._popen.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return
        self._popen.wait(5)


def _popen(argv: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """Start it in `/`: another user may not enter our directory, and `find` fails there."""
    return subprocess.Popen(
        argv,
        cwd="/",
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )


def _environment() -> dict[str, str]:
    """Give a command here the variables that it would have over SSH."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _OF_A_LOGIN or name.startswith("LC_")
    }


class SshProcess:
    """A command at the other end of an SSH channel; closing the channel closes its stdin."""

    def __init__(self, channel: paramiko.Channel, line: str, way: str) -> None:
        self._channel = channel
        self._way = way
        try:
            channel.exec_command(line)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._lost(error) from error
        self._tail = _Tail(channel.makefile_stderr("rb"))

    def write(self, data: bytes | memoryview) -> None:
        try:
            self._channel.sendall(memoryview(data))
        except OSError as error:
            raise BrokenPipeError(str(error)) from error
        except paramiko.SSHException as error:
            raise self._lost(error) from error

    def close_stdin(self) -> None:
        with suppress(paramiko.SSHException, OSError, EOFError):
            self._channel.shutdown_write()

    def read(self, size: int = 1 << 20) -> bytes:
        try:
            return bytes(self._channel.recv(size))
        except paramiko.SSHException as error:
            raise self._lost(error) from error

    def wait(self, timeout: float | None = None) -> int:
        if not self._channel.status_event.wait(timeout):
            raise TimeoutError
        code = int(self._channel.recv_exit_status())
        if code < 0 and (self._channel.is_cut or not self._channel.get_transport().is_active()):
            raise self._lost("it ended while the command ran")
        return code

    def is_running(self) -> bool:
        ended = self._channel.closed or self._channel.exit_status_ready()
        return not ended and bool(self._channel.get_transport().is_active())

    def stderr(self) -> str:
        return self._tail.text(complete=self._channel.exit_status_ready())

    def kill(self) -> None:
        with suppress(paramiko.SSHException, OSError, EOFError):
            self._channel.close()

    def _lost(self, why: object) -> ConnectionLost:
        return ConnectionLost(
            "the SSH connection was lost",
            detail=f"{self._way}: {why}",
            hint="Check the host and the network between, then start the runbook again.",
        )
