"""A portal that lets in who has its secrets, and tells all of them when it is broken."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.lab.listener import QuietHandler, listening

USER = "checker"


@dataclass
class Portal:
    """Its secrets: a password, a key for a header, and the token that a login is answered with."""

    password: str
    key: str
    token: str
    broken: bool = False
    url: str = ""
    calls: int = 0

    def checks(self) -> list[dict[str, Any]]:
        """Give the checks as an inventory has them."""
        form = {"username": USER, "password": "{secret:portal}"}
        login = {
            "method": "POST",
            "url": f"{self.url}/login",
            "json_body": form,
            "changes": False,
            "extract": {"token": {"path": "token"}},
        }
        bearer = {"kind": "bearer", "token": "{token}"}
        session = [login, {"url": f"{self.url}/bearer", "auth": bearer}]
        basic = {"kind": "basic", "user": USER, "password": "{secret:portal}"}
        keyed = {"X-Api-Key": "{secret:key}"}
        checks: list[dict[str, Any]] = [
            {"name": "session", "calls": session},
            {"name": "basic", "url": f"{self.url}/basic", "auth": basic},
            {"name": "key", "url": f"{self.url}/key", "headers": keyed, "contains": "ok"},
        ]
        return [{**check, "within": 0} for check in checks]

    def answer(self, path: str, headers: dict[str, str], body: str) -> tuple[int, object]:
        """Judge a call; a broken portal sends back what it was sent, decoded."""
        self.calls += 1
        if self.broken:
            return 500, {"sent": headers, "body": body, "known": [self.password, self.token]}
        wanted = {
            "/login": self.password in body,
            "/bearer": headers.get("authorization") == f"Bearer {self.token}",
            "/basic": headers.get("authorization") == f"Basic {self._basic()}",
            "/key": headers.get("x-api-key") == self.key,
        }
        return (200 if wanted[path] else 401), {"token": self.token, "said": "ok"}

    def _basic(self) -> str:
        return base64.b64encode(f"{USER}:{self.password}".encode()).decode()


@contextmanager
def served(portal: Portal) -> Iterator[Portal]:
    """Serve it on a free loopback port for the time of a block."""

    class Handler(QuietHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, said = portal.answer(self.path, headers, body)
            text = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = _any  # noqa: N815

    with listening(Handler) as portal.url:
        yield portal
