"""Connections to a server as its own operating system user, whatever the way into its host.

The page: `chpst -u postgres:vcap psql postgres` on the node. That is the server's Unix socket,
where no password is asked for and a blocked port does not matter. From elsewhere a small program of
perl or python3 on the host, run as that user, carries the bytes between socket and way in.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from runbook.errors import CheckFailed, RunbookError, Unreachable
from runbook.hosts import Command
from runbook.hosts.machines import Local
from runbook.hosts.process import Process
from runbook.postgres import Node

_PIECE = 256 << 10
_SECONDS = 30
_MEMORY = "64MB"
_SETTINGS = {
    "synchronous_commit": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
    "temp_file_limit": "-1",
    "standard_conforming_strings": "on",
    "lc_messages": "C",
    "maintenance_work_mem": _MEMORY,
}
"""For the sessions of a load alone; a database's or role's own settings do not get over them."""

_SINCE = (
    (140000, "SET idle_session_timeout = 0"),
    (140000, "SET client_connection_check_interval = '5s'"),  # a killed worker leaves no backend
    (170000, "SET transaction_timeout = 0"),
)

_PERL = """use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "$!\\n";
sub carry { my ($from, $to) = @_; my ($n, $o, $w, $b);
  while ($n = sysread($from, $b, 262144)) { $o = 0;
    while ($o < $n) { $w = syswrite($to, $b, $n - $o, $o); defined $w or exit; $o += $w } } }
my $pid = fork; if (!$pid) { carry(\\*STDIN, $s); shutdown($s, 1); exit }
carry($s, \\*STDOUT); kill 'TERM', $pid;"""
_PYTHON = """import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f = s.fileno()
def carry(a, b):
    while (p := os.read(a, 262144)):
        while p: p = p[os.write(b, p):]
if not (pid := os.fork()): carry(0, f); s.shutdown(1); os._exit(0)
carry(f, 1); os.kill(pid, 15)"""
_CARRY = """if command -v perl >/dev/null; then exec perl -e "$1" "$3"; fi
exec python3 -c "$2" "$3"
"""

Open = Callable[[str], psycopg.Connection]
"""Opens a connection to a database."""


@contextmanager
def doors(node: Node, application: str) -> Iterator[Open]:
    """Give what opens connections to the databases of a node; they end with the block."""
    folder = node.socket_directory or _asked(node)
    user = node.server_user
    with ExitStack() as stack:
        host = folder
        if not (isinstance(node.console.way, Local) and _lets_in(folder, node.port, user)):
            host = stack.enter_context(_carried(node, folder))

        def connect(database: str) -> psycopg.Connection:
            try:
                connection = _connected(host, node.port, user, database, application)
            except psycopg.OperationalError as error:
                raise Unreachable(
                    f"no connection to database {database} of {node}",
                    detail=str(error).strip(),
                    hint=f"Is PostgreSQL running on {node.host}, and is there perl or python3?",
                ) from error
            stack.callback(connection.close)
            return connection

        yield connect


def _connected(
    host: str, port: int, user: str, database: str, application: str
) -> psycopg.Connection:
    conninfo = make_conninfo(
        host=host,
        port=str(port),
        user=user,
        dbname=database,
        application_name=application,
        connect_timeout=_SECONDS,
        sslmode="disable",
        gssencmode="disable",
        options=" ".join(f"-c {name}={value}" for name, value in _SETTINGS.items()),
    )
    connection = psycopg.connect(conninfo, autocommit=True)
    for version, setting in _SINCE:
        if connection.info.server_version >= version:
            connection.execute(setting)
    return connection


def _lets_in(folder: str, port: int, user: str) -> bool:
    """Tell whether the worker itself is let in through the socket."""
    try:
        _connected(folder, port, user, "postgres", "").close()
    except psycopg.OperationalError:
        return False
    return True


def _asked(node: Node) -> str:
    (row,) = node.ask("SELECT current_setting('unix_socket_directories') AS folders")
    folder = str(row["folders"]).split(",")[0].strip()
    if not folder:
        raise CheckFailed(
            f"{node} has no Unix socket",
            hint="Set unix_socket_directories of that server.",
        )
    return folder


@contextmanager
def _carried(node: Node, folder: str) -> Iterator[str]:
    """Give the directory of a socket on the worker that leads to the one on the host."""
    command = Command(
        ("sh", "-c", _CARRY, "carry", _PERL, _PYTHON, f"{folder}/.s.PGSQL.{node.port}"),
        user=node.server_user,
    )
    console = node.console

    def start() -> Process:
        return console.way.start(command.wrapped(console.way.login))

    with (
        tempfile.TemporaryDirectory(prefix="pg-runbooks-") as near,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        listener.bind(str(Path(near) / f".s.PGSQL.{node.port}"))
        listener.listen(64)
        bridge = _Bridge(listener, start)
        try:
            yield near
        except Unreachable as error:
            raise bridge.failure or error from error
        finally:
            bridge.close()


class _Bridge:
    """Carries each connection to the listener through a program on the host."""

    def __init__(self, listener: socket.socket, start: Callable[[], Process]) -> None:
        self.failure: RunbookError | None = None
        self._listener = listener
        self._start = start
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._run(self._serve)

    def close(self) -> None:
        """End when both sides of every connection have ended; ours have."""
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(_SECONDS)

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="bridge", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._run(self._carry, near)

    def _carry(self, near: socket.socket) -> None:
        try:
            process = self._start()
        except RunbookError as error:
            self.failure = error
            near.close()
            return
        self._run(_to_host, near, process)
        try:
            while piece := process.read(_PIECE):
                near.sendall(piece)
        except (OSError, ValueError, RunbookError):
            pass
        finally:
            with suppress(OSError):
                near.shutdown(socket.SHUT_RDWR)
            process.kill()
            near.close()


def _to_host(near: socket.socket, process: Process) -> None:
    try:
        while piece := near.recv(_PIECE):
            process.write(piece)
    except (OSError, ValueError, RunbookError):
        pass
    finally:
        with suppress(OSError, ValueError, RunbookError):
            process.close_stdin()
