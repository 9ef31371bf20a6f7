"""A TCP service on a host, reachable from the worker through the way into that host."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko

from runbook.errors import Unreachable
from runbook.hosts.bosh import Bosh
from runbook.hosts.connections import forward
from runbook.hosts.host import Host
from runbook.hosts.machines import Ssh

_PIECE = 256 << 10


@dataclass(frozen=True)
class Endpoint:
    """Where libpq connects to: a host name or the directory of a Unix socket, and a port."""

    host: str
    port: int


@contextmanager
def endpoint(host: Host, address: str, port: int) -> Iterator[Endpoint]:
    """Give an endpoint for `address:port` as seen from the host.

    Through SSH, and through bosh, it is a Unix socket in a directory of the worker's user alone.
    When the block fails because nothing answers behind it, that is what Unreachable tells.
    """
    if isinstance(host.way, Bosh):
        with (
            tempfile.TemporaryDirectory(prefix="pg-runbooks-") as folder,
            host.way.forwarded(address, port, str(Path(folder) / f".s.PGSQL.{port}")),
        ):
            yield Endpoint(folder, port)
        return
    if not isinstance(host.way, Ssh):
        yield Endpoint(address, port)
        return
    with (
        tempfile.TemporaryDirectory(prefix="pg-runbooks-") as folder,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        listener.bind(str(Path(folder) / f".s.PGSQL.{port}"))
        listener.listen(4)
        bridge = _Bridge(listener, host.way, address, port)
        try:
            yield Endpoint(folder, port)
        except Unreachable as error:
            raise bridge.failure or error from error
        finally:
            bridge.close()


class _Bridge:
    """Carries connections between the listener and forwarded channels.

    More than one: libpq cancels a running command over a connection of its own.
    """

    def __init__(self, listener: socket.socket, way: Ssh, address: str, port: int) -> None:
        self.failure: Unreachable | None = None
        self._listener = listener
        self._target = (way, address, port)
        self._ends: list[socket.socket | paramiko.Channel] = []
        self._closed = False
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """End all connections, whichever side still speaks."""
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for end in self._ends:
            _hang_up(end)

    def _serve(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        self._ends.append(near)
        try:
            far = forward(*self._target)
        except Unreachable as error:
            self.failure = error
            near.close()
            return
        self._ends.append(far)
        if self._closed:
            far.close()
        threading.Thread(target=_pump, args=(near, far), daemon=True).start()
        _pump(far, near)


def _pump(source: socket.socket | paramiko.Channel, sink: socket.socket | paramiko.Channel) -> None:
    try:
        while piece := source.recv(_PIECE):
            sink.sendall(piece)
    except (OSError, EOFError, paramiko.SSHException):
        pass
    finally:
        _hang_up(sink)
        _hang_up(source)


def _hang_up(end: socket.socket | paramiko.Channel) -> None:
    """Close an end so that a thread that waits for its bytes wakes up, too."""
    with suppress(OSError, EOFError, paramiko.SSHException):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
