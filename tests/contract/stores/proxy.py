"""A TCP proxy on loopback that does to a store's connections what bad networks do."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_PIECE = 64 << 10
_REASONS = {403: "Forbidden", 404: "Not Found", 503: "Slow Down"}


@dataclass(frozen=True)
class Fault:
    """What happens to one connection; None: nothing of that kind."""

    cut_answer_after: int | None = None
    """Bytes from the store that still come through, then the connection is cut."""
    stall_answer_after: int | None = None
    """Bytes from the store that still come through, then silence."""
    cut_request_after: int | None = None
    """Bytes to the store that still come through, then the connection is cut."""
    status: int | None = None
    """Answer this instead of asking the store."""


class Proxy:
    """Stands before a store; `next` and `always` say what happens to connections from now on."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.losing = b""
        """Text in a request that is to reach the store, and whose answer is to be lost, once."""
        self.left = 0
        """How many requests will still be refused."""
        self._refused, self._status = b"", 0
        self._next: deque[Fault] = deque()
        self._always = Fault()
        self._live: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def next(self, *faults: Fault) -> None:
        """Do this to the next connections, one each; connections that are open are cut."""
        self._next.extend(faults)
        self._cut_all()

    def always(self, fault: Fault) -> None:
        """Do this to every connection after those of `next`; open ones are cut."""
        self._next.clear()
        self._always = fault
        self._cut_all()

    def refuse(self, text: bytes, status: int, *, times: int = 1 << 30) -> None:
        """Answer requests for what has this text in its first line with a status, so often."""
        self._refused, self._status, self.left = text, status, times

    def refusal(self, request: bytes) -> int:
        """Give the status that a request is answered with; 0: the store is asked."""
        if self.left <= 0 or self._refused not in request.partition(b"\r\n")[0]:
            return 0
        self.left -= 1
        return self._status

    def close(self) -> None:
        """Cut everything and stop."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut_all()
        self._thread.join(5)

    def _cut_all(self) -> None:
        for end in self._live:
            _cut(end)
        self._live.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            fault = self._next.popleft() if self._next else self._always
            self._live.append(client)
            if fault.status:
                threading.Thread(target=_answer, args=(client, fault.status), daemon=True).start()
                continue
            store = socket.create_connection(("127.0.0.1", self._target))
            self._live.append(store)
            _Link(self, client, store, fault)


class _Link:
    """One connection through the proxy."""

    def __init__(
        self, proxy: Proxy, client: socket.socket, store: socket.socket, fault: Fault
    ) -> None:
        self._proxy = proxy
        self._client, self._store, self._fault = client, store, fault
        self._lost = False
        threading.Thread(target=self._up, daemon=True).start()
        threading.Thread(target=self._down, daemon=True).start()

    def _up(self) -> None:
        left = self._fault.cut_request_after
        with suppress(OSError):
            while data := self._client.recv(_PIECE):
                if self._proxy.losing and self._proxy.losing in data[:1000]:
                    self._lost, self._proxy.losing = True, b""
                if status := self._proxy.refusal(data):
                    self._client.sendall(_refusal(status))
                    break
                if left is not None and len(data) > left:
                    self._store.sendall(data[:left])
                    break
                left = None if left is None else left - len(data)
                self._store.sendall(data)
        _cut(self._store)
        _cut(self._client)

    def _down(self) -> None:
        limits = (self._fault.cut_answer_after, self._fault.stall_answer_after)
        left = next((limit for limit in limits if limit is not None), None)
        with suppress(OSError):
            while data := self._store.recv(_PIECE):
                if self._lost and not data.startswith(b"HTTP/1.1 100"):
                    break
                if left is not None and len(data) > left:
                    self._client.sendall(data[:left])
                    if self._fault.stall_answer_after is not None:
                        return
                    break
                left = None if left is None else left - len(data)
                self._client.sendall(data)
        _cut(self._client)
        _cut(self._store)


def _answer(client: socket.socket, status: int) -> None:
    """Read one request with its body, answer it, hang up."""
    with suppress(OSError), client:
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(_PIECE)
            if not data:
                return
            head += data
        if b"100-continue" not in head.lower():
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-l")]
            left = int(length[0].split(b":")[1]) if length else 0
            left -= len(head.partition(b"\r\n\r\n")[2])
            while left > 0 and (data := client.recv(_PIECE)):
                left -= len(data)
        client.sendall(_refusal(status))


def _refusal(status: int) -> bytes:
    line = f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
    return f"{line}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()


def _cut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def proxy(target: int) -> Iterator[Proxy]:
    """Run a proxy before a port of 127.0.0.1."""
    running = Proxy(target)
    try:
        yield running
    finally:
        running.close()
