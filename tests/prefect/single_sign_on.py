"""The shipped reverse proxy on loopback: Debian's Apache httpd, and an identity provider."""

from __future__ import annotations

import json
import os
import re
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import SHUT_WR, create_connection, socket

from tests.lab import processes
from tests.lab.servers import LOOPBACK, free_port, server

PAGES = Path(__file__).parents[2] / "deployments"
_MODULES = Path("/usr/lib/apache2/modules")
_ALWAYS_ENABLED = (
    *("mpm_event", "authn_core", "authz_core", "auth_basic", "authn_file", "authz_host"),
    *("authz_user", "access_compat", "alias", "autoindex", "deflate", "dir", "env", "filter"),
    *("negotiation", "reqtimeout", "setenvif", "status"),
)
_BROUGHT_ALONG = ("socache_shmcb",)


class Wire:
    """A wire to a server that keeps all that is sent to it."""

    def __init__(self, port: int) -> None:
        self.kept, wire = b"", self

        class Pump(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with create_connection((LOOPBACK, port)) as there:
                    back = threading.Thread(target=_carry, args=(there, self.request))
                    back.start()
                    _carry(self.request, there, wire)
                    back.join()

        self._server = socketserver.ThreadingTCPServer((LOOPBACK, 0), Pump)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Wire:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _carry(source: socket, target: socket, wire: Wire | None = None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if wire is not None:
                wire.kept += data
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(SHUT_WR)


@dataclass(frozen=True)
class SingleSignOn:
    """Where people go, what vouches for that address, and what was sent to the Prefect server."""

    address: str
    certificate: Path
    provider: str
    wire: Wire
    log: Path


@contextmanager
def single_sign_on(
    folder: Path, port: int, prefect_port: int, login: str
) -> Iterator[SingleSignOn]:
    """Run the proxy in front of a Prefect server; Ada is one of the DBAs, Eve is not."""
    with ExitStack() as stack:
        wire = stack.enter_context(Wire(prefect_port))
        provider = stack.enter_context(_identity_provider(folder))
        certificate = _certificate(folder)
        values = {
            "RUNBOOKS_NAME": f"{LOOPBACK}:{port}",
            "RUNBOOKS_CERTIFICATE": str(certificate),
            "RUNBOOKS_KEY": str(certificate.with_suffix(".key")),
            "RUNBOOKS_SERVER": f"{LOOPBACK}:{wire.port}",
            "RUNBOOKS_LOGIN": login,
            "RUNBOOKS_PROVIDER": f"{provider}/.well-known/openid-configuration",
            "RUNBOOKS_CLIENT_SECRET": "a secret of the tests",
            "RUNBOOKS_SESSION_SECRET": "another secret of the tests",
        }
        main = _main_configuration(folder, port, _site(folder, port, values))
        argv = ("/usr/sbin/apache2", "-DFOREGROUND", "-f", main)
        stack.enter_context(server(argv, port=port, log=folder / "apache2.log"))
        address, log = f"https://{LOOPBACK}:{port}", folder / "pg-runbooks-access.log"
        yield SingleSignOn(address, certificate, provider, wire, log)


@contextmanager
def _identity_provider(folder: Path) -> Iterator[str]:
    port = free_port()
    argv = [sys.executable, "-m", "oidc_provider_mock", "--host", LOOPBACK, "--port", str(port)]
    for name, groups in (("ada", ["dba", "staff"]), ("eve", ["staff"])):
        person = {"sub": name, "email": f"{name}@example.net", "groups": groups}
        argv += ["--user-claims", json.dumps(person)]
    with server(argv, port=port, log=folder / "provider.log"):
        yield f"http://{LOOPBACK}:{port}"


def _site(folder: Path, port: int, values: dict[str, str]) -> Path:
    """Take the shipped files, with other values, another port and another place."""
    text = (PAGES / "access" / "proxy.conf").read_text()
    for name, value in values.items():
        text, count = re.subn(rf"(?m)^Define {name} .*$", f'Define {name} "{value}"', text)
        assert count == 1, name
    filled = folder / "proxy.conf"
    filled.write_text(text)
    site = (PAGES / "access" / "pg-runbooks-site.conf").read_text()
    for shipped, here in (
        ("/etc/pg-runbooks/proxy.conf", str(filled)),
        ("<VirtualHost *:443>", f"<VirtualHost {LOOPBACK}:{port}>"),
    ):
        assert site.count(shipped) == 1, shipped
        site = site.replace(shipped, here)
    path = folder / "pg-runbooks-site.conf"
    path.write_text(site)
    return path


def _main_configuration(folder: Path, port: int, site: Path) -> Path:
    """Stand for Debian's apache2.conf: its modules, and those that the page has people enable."""
    enabled = re.search(r"^a2enmod (.+)$", (PAGES / "access.md").read_text(), re.MULTILINE)
    assert enabled is not None
    modules = (*_ALWAYS_ENABLED, *_BROUGHT_ALONG, *enabled[1].split())
    lines = [f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in modules]
    if os.getuid() == 0:
        lines += ["User www-data", "Group www-data"]
    lines += [f"ServerName {LOOPBACK}", f"ErrorLog {folder}/error.log"]
    lines += [f"Define APACHE_LOG_DIR {folder}", f"DefaultRuntimeDir {folder}"]
    lines += [f"PidFile {folder}/apache2.pid", f"Listen {LOOPBACK}:{port}", f"Include {site}"]
    path = folder / "apache2.conf"
    path.write_text("\n".join(lines) + "\n")
    return path


def _certificate(folder: Path) -> Path:
    path = folder / "proxy.pem"
    names = ("-subj", "/CN=runbooks", "-addext", f"subjectAltName=IP:{LOOPBACK}")
    files = ("-keyout", path.with_suffix(".key"), "-out", path)
    how = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    processes.run(["openssl", "req", "-x509", *how, *names, *files])
    return path
