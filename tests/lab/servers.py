"""Run a server program for the length of a `with` block; it dies with us, whatever happens."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab import processes
from tests.lab.errors import LabError

LOOPBACK = "127.0.0.1"


@contextmanager
def server(
    argv: Sequence[str | Path],
    *,
    port: int,
    log: Path,
    env: Mapping[str, str] | None = None,
    address: str = LOOPBACK,
) -> Iterator[int]:
    """Start a server, wait until it listens on its port, yield its pid, end it."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *map(str, argv)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=processes.environment(None, "", env or {}),
        )
    try:
        processes.until(lambda: process.poll() is not None or listens(port, address), "it listens")
        if process.poll() is not None:
            raise LabError(f"{argv[0]} ended at its start", detail=log.read_text()[-2000:])
        yield process.pid
    finally:
        pids = [process.pid, *processes.children(process.pid)]
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        processes.end(pids)


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int, address: str = LOOPBACK) -> bool:
    """Tell whether something listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0
