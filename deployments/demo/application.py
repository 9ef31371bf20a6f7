"""The shop's application: it takes an order every 50 ms, and tells its health over HTTP.

`python -m deployments.demo.application start|stop|running FOLDER`; FOLDER holds settings.json.
It needs nothing of this project, as no application does.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

_PAUSE_SECONDS = 0.05
_FRESH_SECONDS = 2.0
_STOP_SECONDS = 10.0
_SQL = "INSERT INTO orders (customer, cents, note) VALUES (1 + (random() * 19999)::int, 100, 'new')"


@dataclass
class Report:
    """What the application has seen, kept over its restarts; times are seconds since the epoch."""

    orders: int = 0
    refused: int = 0
    last_order: float = 0.0
    outages: list[float] = field(default_factory=list)


class Application:
    """Takes orders until it is told to end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wanted = threading.Event()
        self.report = read_report(folder)

    def work(self, conninfo: str) -> None:
        """Insert, wait, insert; connect again whenever the database has gone away."""
        import psycopg

        connection: psycopg.Connection[tuple[object, ...]] | None = None
        failing = self.report.last_order > 0
        while not self._wanted.is_set():
            try:
                if connection is None:
                    connection = psycopg.connect(conninfo, autocommit=True, connect_timeout=2)
                connection.execute(_SQL)
                self._taken(after_outage=failing)
                failing = False
            except psycopg.Error:
                failing = True
                self.report.refused += 1
                if connection is not None:
                    connection.close()
                    connection = None
            self._wanted.wait(_PAUSE_SECONDS)
        self._save()

    def end(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """End after the order at hand."""
        self._wanted.set()

    @property
    def healthy(self) -> bool:
        """Tell whether an order was taken just now."""
        return time.time() - self.report.last_order < _FRESH_SECONDS and not self._wanted.is_set()

    def _taken(self, *, after_outage: bool) -> None:
        now = time.time()
        if after_outage:
            self.report.outages.append(round(now - self.report.last_order, 2))
        self.report.orders += 1
        self.report.last_order = now
        self._save()

    def _save(self) -> None:
        draft = self._folder / "report.new"
        draft.write_text(json.dumps(asdict(self.report)))
        draft.replace(self._folder / "report.json")


def read_report(folder: Path) -> Report:
    """Read what the application has seen so far."""
    try:
        return Report(**json.loads((folder / "report.json").read_text()))
    except FileNotFoundError:
        return Report()


def serve(folder: Path) -> None:
    """Be the application: give up root, hold the lock that says it runs, work.

    What it needs is loaded before, because its files may be closed to the unprivileged user.
    """
    import psycopg

    settings = json.loads((folder / "settings.json").read_text())
    application = Application(folder)
    server = ThreadingHTTPServer(("127.0.0.1", settings["port"]), _handler(application))
    with suppress(psycopg.Error):
        psycopg.connect("host=/nowhere connect_timeout=2").close()
    lock = os.open(folder / "running", os.O_RDWR | os.O_CREAT, 0o644)
    os.pwrite(lock, f"{os.getpid():<10}".encode(), 0)
    _become(settings["user"])
    fcntl.flock(lock, fcntl.LOCK_EX)
    signal.signal(signal.SIGTERM, application.end)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    application.work(settings["conninfo"])


def start(folder: Path) -> int:
    """Start it in a session of its own and wait until it holds its lock."""
    if running(folder):
        return 0
    with (folder / "application.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deployments.demo.application", "serve", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    while process.poll() is None and not running(folder):
        time.sleep(0.02)
    return process.poll() or 0


def stop(folder: Path) -> int:
    """End it and wait until it is gone."""
    if not running(folder):
        return 0
    pid = int((folder / "running").read_text())
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + _STOP_SECONDS
    while running(folder):
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return 0


def running(folder: Path) -> bool:
    """Tell whether it runs: the kernel frees its lock with its process."""
    try:
        descriptor = os.open(folder / "running", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _become(user: str) -> None:
    account = pwd.getpwnam(user)
    if os.geteuid() == 0 and account.pw_uid != 0:
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)


def _handler(application: Application) -> type[BaseHTTPRequestHandler]:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/health"
            self.send_response((200 if application.healthy else 503) if found else 404)
            self.end_headers()
            self.wfile.write(json.dumps(asdict(application.report)).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet: health is asked often."""

    return Health


def main(verb: str, folder: Path) -> int:
    """Carry a verb out; give the exit code."""
    if verb == "serve":
        serve(folder)
        return 0
    if verb == "running":
        return 0 if running(folder) else 1
    return {"start": start, "stop": stop}[verb](folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
