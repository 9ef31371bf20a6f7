"""The addresses that programs of this machine listen on, as its kernel tells them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

Address = IPv4Address | IPv6Address

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTEN = "0A"
_IPV4_BYTES = 4


def listening(port: int) -> tuple[Address, ...]:
    """Give the addresses with a listener on this TCP port; none where the kernel is not Linux.

    Ref.: proc_net_tcp.txt of the Linux kernel: the state, and each word of an address as the
    machine keeps it.
    """
    found = {address for table in _TABLES for address in _listeners(table, port)}
    return tuple(sorted(found, key=str))


def is_taken(host: str, port: int) -> bool:
    """Tell whether another program listens on one of the addresses that this name stands for."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return False
    return any(_is_bound(family, address) for family, _, _, _, address in found)


def _is_bound(family: int, address: tuple[object, ...]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def _listeners(table: Path, port: int) -> Iterator[Address]:
    if not table.exists():
        return
    for line in table.read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        address, _, number = local.partition(":")
        if state == _LISTEN and int(number, 16) == port:
            yield _address(bytes.fromhex(address))


def _address(words: bytes) -> Address:
    """Read an address whose 32-bit words are little-endian; an IPv4 one in IPv6 becomes IPv4."""
    packed = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
    if len(packed) == _IPV4_BYTES:
        return IPv4Address(packed)
    found = IPv6Address(packed)
    return found.ipv4_mapped or found
