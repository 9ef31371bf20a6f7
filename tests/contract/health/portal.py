"""A portal as sites have them, on a loopback port: login, alarms, a key-value store. Real HTTP."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.lab.listener import QuietHandler, listening

USER, PASSWORD, TOKEN = "checker", 'MARKER-pass"word', "MARKER-token-1"


@dataclass
class Portal:
    """What the portal holds and was asked; `broken` gives paths a status for so many times."""

    alarms: list[dict[str, str]] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    broken: dict[str, tuple[int, int]] = field(default_factory=dict)
    url: str = ""

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, object, dict[str, str]]:
        """Give status, JSON body and headers."""
        self.requests.append(f"{method} {path}")
        self.headers.append(headers)
        status, times = self.broken.get(f"{method} {path}", (0, 0))
        if times:
            self.broken[f"{method} {path}"] = (status, times - 1)
            return status, {"said": f"broken {body.decode()}"}, {}
        named = getattr(self, f"_{path.split('/')[1] or 'home'}", None)
        return named(method, path, headers, body) if named else (404, {}, {})

    def _home(self, *_: object) -> tuple[int, object, dict[str, str]]:
        return 200, {"title": "the portal"}, {}

    def _odd(self, *_: object) -> tuple[int, object, dict[str, str]]:
        return 200, {"name": "a/b c?d"}, {}

    def _moved(self, *_: object) -> tuple[int, object, dict[str, str]]:
        return 302, {}, {"Location": f"{self.url}/?token={TOKEN}"}

    def _login(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, object, dict[str, str]]:
        if headers.get("content-type", "").startswith("application/json"):
            said = json.loads(body)
        else:
            said = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if (said.get("username"), said.get("password")) != (USER, PASSWORD):
            return 401, {"error": f"wrong: {said}"}, {}
        return 200, {"access_token": TOKEN, "n": 7}, {"Set-Cookie": "session=s1", "X-Csrf": "c1"}

    def _basic(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, object, dict[str, str]]:
        wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return (200 if headers.get("authorization") == f"Basic {wanted}" else 401), {}, {}

    def _session(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, object, dict[str, str]]:
        return (200 if headers.get("cookie") == "session=s1" else 401), {}, {}

    def _alarms(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, object, dict[str, str]]:
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {}, {}
        return 200, {"alarms": self.alarms, "ok": True, "echo": TOKEN}, {}

    def _kv(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, object, dict[str, str]]:
        key = path.removeprefix("/kv").strip("/")
        if method == "POST":
            self.values[f"id{len(self.requests)}"] = json.loads(body)["key"]
            return 201, {"id": f"id{len(self.requests)}"}, {}
        if key not in self.values:
            return 404, {}, {}
        if method == "DELETE":
            del self.values[key]
            return 204, None, {}
        return 200, {"key": self.values[key]}, {}


@contextmanager
def served(portal: Portal, context: ssl.SSLContext | None = None) -> Iterator[Portal]:
    """Serve the portal on a free loopback port for the time of a block."""

    class Handler(QuietHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, said, more = portal.answer(self.command, self.path, headers, body)
            text = b"" if said is None or self.command == "HEAD" else json.dumps(said).encode()
            self.send_response(status)
            for name, value in {**more, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

    with listening(Handler, context) as portal.url:
        yield portal


def later(seconds: float, deed: object) -> threading.Timer:
    """Do something a moment from now."""
    timer = threading.Timer(seconds, deed)  # type: ignore[arg-type]
    timer.start()
    return timer


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for 127.0.0.1; give its file and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "portal of a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    own, secret = folder / "portal.crt", folder / "portal.key"
    own.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, secret)
    return own, context
