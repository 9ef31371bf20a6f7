"""Tunnels to a server behind a host: private, and gone with their block."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from runbook.errors import Unreachable
from runbook.hosts import Host
from runbook.hosts.tunnel import Endpoint, endpoint
from tests.contract.hosts.scene import ssh_to
from tests.lab import processes
from tests.lab.loopback import LoopbackLab
from tests.lab.postgres import PostgresNode
from tests.lab.sshd import Host as LabHost

pytestmark = pytest.mark.lab

MIB = 1 << 20


@contextlib.contextmanager
def serving(machine: LabHost, serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve connections on the machine's address."""
    with socket.socket() as listener:
        listener.bind((machine.address, 0))
        listener.listen()

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    threading.Thread(target=serve, args=(peer,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def connect(door: Endpoint) -> socket.socket:
    if not door.host.startswith("/"):
        return socket.create_connection((door.host, door.port))
    near = socket.socket(socket.AF_UNIX)
    near.connect(f"{door.host}/.s.PGSQL.{door.port}")
    return near


def test_a_tunnel_carries_bytes_both_ways_and_is_private(machine: LabHost, host: Host) -> None:
    data = os.urandom(8 * MIB)

    def echo(peer: socket.socket) -> None:
        with peer:
            while piece := peer.recv(65536):
                peer.sendall(piece)

    with serving(machine, echo) as port, endpoint(host, machine.address, port) as door:
        if door.host.startswith("/"):
            assert Path(door.host).stat().st_mode & 0o777 == 0o700
        for _ in range(2):
            with connect(door) as near:
                threading.Thread(target=near.sendall, args=(data,)).start()
                came = b""
                while len(came) < len(data):
                    came += near.recv(MIB)
                assert came == data
    assert not Path(door.host, f".s.PGSQL.{port}").exists()


def test_a_tunnel_ends_with_its_block(machine: LabHost, remote: Host) -> None:
    ended = threading.Event()

    def wait(peer: socket.socket) -> None:
        with peer:
            peer.sendall(b"x")
            peer.recv(1)
            ended.set()

    with serving(machine, wait) as port, endpoint(remote, machine.address, port) as door:
        near = connect(door)
        assert near.recv(1) == b"x"
    assert ended.wait(30)
    assert near.recv(1) == b""
    near.close()


def test_a_port_where_nobody_listens_is_told(machine: LabHost, remote: Host) -> None:
    def knock() -> None:
        with endpoint(remote, machine.address, 1) as door, connect(door) as near:
            assert near.recv(1) == b""
            raise Unreachable("the server closed the connection")

    with pytest.raises(Unreachable, match=r"nothing answers on .* port 1 ") as caught:
        knock()
    assert "Is PostgreSQL listening" in caught.value.hint
    assert remote.read("echo", "alive") == "alive\n"


def test_a_query_is_cancelled_through_the_tunnel(loopback_lab: LoopbackLab) -> None:
    node: PostgresNode = loopback_lab.postgres("way4", authentication="trust")
    host = Host(name="way4", way=ssh_to(node.host))
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"

    def cancel() -> None:
        processes.until(lambda: node.psql(asleep) == "1", "the query is at work")
        connection.cancel_safe()

    with endpoint(host, node.host.address, node.port) as door:
        conninfo = f"host={door.host} port={door.port} user=postgres dbname=postgres"
        with psycopg.connect(conninfo) as connection:
            began = time.monotonic()
            canceller = threading.Thread(target=cancel)
            canceller.start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute("SELECT pg_sleep(30)")
            assert time.monotonic() - began < 15
            canceller.join()
    host.way.close()
