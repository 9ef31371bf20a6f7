"""The HTTP side of the Backup Manager's stand-in: faults, and how one is away."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Protocol

from tests.lab.listener import QuietHandler


class Standing(Protocol):
    """What answers."""

    faults: dict[str, list[str]]
    is_away: bool
    turned_away: int
    closing: threading.Event

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: str
    ) -> tuple[int, object]:
        """Give status and JSON."""


def handler_for(standing: Standing) -> type[BaseHTTPRequestHandler]:
    """Give a handler that asks it, with the faults that it wants."""

    class Handler(QuietHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            fault = _next(standing, f"{self.command} {self.path}")
            if standing.is_away:
                standing.turned_away += 1
                fault = "502" if standing.turned_away % 2 else "unheard"
            elif fault == "hang":
                standing.closing.wait(20)
                return
            if fault.isdigit():
                self._say(int(fault), "<html>Bad gateway</html>")
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            if fault != "unheard":
                status, tree = standing.answer(self.command, self.path, headers, body)
            if fault in ("lost", "unheard"):
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            texts = {"garbage": "<html>Please log in</html>", "shape": '{"backups": "many"}'}
            self._say(status, texts.get(fault) or json.dumps(tree))

        def _say(self, status: int, text: str) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = _any  # noqa: N815

    return Handler


def _next(standing: Standing, request: str) -> str:
    """Take the next fault for a request; empty where there is none."""
    for beginning, kinds in standing.faults.items():
        if request.startswith(beginning) and kinds:
            return kinds.pop(0)
    return ""
