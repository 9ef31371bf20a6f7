"""SSH connections: one for each way in, host keys insisted on, kept and shared.

And spare ones: sshd takes only so many commands at a time in each (MaxSessions, 10 by default).
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import fabric
import paramiko

from runbook.errors import HostUnreachable, LoginRefused, SettingsError, Unreachable
from runbook.hosts.channel import OrderedTransport

if TYPE_CHECKING:
    from runbook.hosts.machines import Ssh

_CONNECT_SECONDS = 10
_SLOW_SECONDS = 1.0
_HOPELESS_SECONDS = 5.0
_KEEPALIVE_SECONDS = 15
_SILENCE_MILLISECONDS = 60_000
_WINDOW_BYTES = 16 << 20

# AES in GCM needs no second pass for a MAC: 1.5 times as fast as what paramiko prefers.
_CIPHERS = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com")

# paramiko stops for ever when a channel is closed while it renews the keys by its own wish, after
# 512 MB. sshd asks for new keys by itself when the cipher needs them (RekeyLimit).
_REKEY_BYTES = 1 << 60

# Failures are raised and told by those who asked; paramiko's threads would print them once more.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

_connections: dict[Ssh, fabric.Connection] = {}
_spares: dict[Ssh, list[fabric.Connection]] = {}
_locks: dict[Ssh, threading.RLock] = {}
_failures: dict[Ssh, tuple[float, HostUnreachable]] = {}
_lock = threading.Lock()


def session(way: Ssh) -> paramiko.Channel:
    """Open a channel for a command; Unreachable when the host cannot be reached."""
    return _open(way, "session", None)


def forward(way: Ssh, address: str, port: int) -> paramiko.Channel:
    """Open a connection to `address:port` as seen from the host; Unreachable if nobody listens."""
    return _open(way, "direct-tcpip", (address, port))


def close(way: Ssh) -> None:
    """Close the kept connection, and the spare ones."""
    with _lock:
        connection = _connections.pop(way, None)
        spares = _spares.pop(way, [])
    for each in filter(None, (connection, *spares)):
        each.close()


def discard(way: Ssh, connection: fabric.Connection) -> None:
    """Keep a connection no longer; one that somebody has made anew meanwhile stays.

    One that still lives goes on for those whose commands run in it.
    """
    with _lock:
        if _connections.get(way) is connection:
            del _connections[way]
    if not connection.is_connected:
        connection.close()


def _open(way: Ssh, kind: str, target: tuple[str, int] | None) -> paramiko.Channel:
    """Open a channel, once more on a fresh connection if the kept one has died."""
    for attempt in (1, 2):
        connection = kept(way)
        try:
            return _channel(connection, kind, target)
        except paramiko.ChannelException as error:
            if target is None:
                return _session_on_a_spare(way)
            raise _refused(way, target, error) from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            discard(way, connection)
            if attempt == 2:
                raise _unreachable(way, error) from error
    raise AssertionError


def _session_on_a_spare(way: Ssh) -> paramiko.Channel:
    """Open a session on another connection; refused only where a fresh one refuses, too.

    One after the other: sshd drops some of many who knock at once (MaxStartups).
    """
    with _lock_of(way):
        spares = _spares.setdefault(way, [])
        for spare in tuple(spares):
            try:
                return _channel(spare, "session", None)
            except paramiko.ChannelException:
                continue
            except (paramiko.SSHException, OSError, EOFError):
                spares.remove(spare)
        fresh = _connected(way)
        try:
            channel = _channel(fresh, "session", None)
        except (paramiko.SSHException, OSError, EOFError) as error:
            fresh.close()
            refused = isinstance(error, paramiko.ChannelException)
            raise (_refused(way, None, error) if refused else _unreachable(way, error)) from error
        spares.append(fresh)
        return channel


def _channel(
    connection: fabric.Connection, kind: str, target: tuple[str, int] | None
) -> paramiko.Channel:
    return connection.transport.open_channel(
        kind,
        dest_addr=target,
        src_addr=("127.0.0.1", 0) if target else None,
        window_size=_WINDOW_BYTES,
        timeout=_CONNECT_SECONDS,
    )


def kept(way: Ssh) -> fabric.Connection:
    """Give the connection that all share, made anew when it has died."""
    with _lock_of(way):
        known = _connections.get(way)
        if known is not None and known.is_connected:
            return known
        _insist_on_hope(way)
        connection = _connected(way)
        with _lock:
            _connections[way] = connection
        return connection


def _connected(way: Ssh) -> fabric.Connection:
    connection, began = _new(way), time.monotonic()
    try:
        connection.open()
        _configure(connection.transport)
    except (paramiko.SSHException, OSError, EOFError) as error:
        connection.close()
        failure = _unreachable(way, error)
        if time.monotonic() - began > _SLOW_SECONDS:
            _failures[way] = (time.monotonic(), failure)
        raise failure from error
    return connection


def _lock_of(way: Ssh) -> threading.RLock:
    with _lock:
        return _locks.setdefault(way, threading.RLock())


def _insist_on_hope(way: Ssh) -> None:
    """Spare those who ask a silent machine many things that they wait each time anew."""
    when, failure = _failures.get(way, (0.0, None))
    if failure is not None and time.monotonic() - when < _HOPELESS_SECONDS:
        raise type(failure)(failure.message, detail=failure.detail, hint=failure.hint)


def _new(way: Ssh) -> fabric.Connection:
    connection = fabric.Connection(
        way.address,
        user=way.user,
        port=way.port,
        gateway=kept(way.jump) if way.jump else None,
        connect_timeout=_CONNECT_SECONDS,
        connect_kwargs={**_identity(way), "transport_factory": _transport},
        config=fabric.Config(overrides={"load_ssh_configs": False}),
    )
    _trust_known_hosts_only(connection.client, way)
    return connection


def _transport(sock: socket.socket, **options: object) -> paramiko.Transport:
    if isinstance(sock, socket.socket):
        # A command is several small packets: held back for an acknowledgement, each costs 40 ms.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = OrderedTransport(sock, **options)
    known = transport.get_security_options().ciphers
    wanted = tuple(cipher for cipher in _CIPHERS if cipher in known)
    transport.get_security_options().ciphers = (
        *wanted,
        *(cipher for cipher in known if cipher not in wanted),
    )
    transport.packetizer.REKEY_BYTES = _REKEY_BYTES
    return transport


def _configure(transport: paramiko.Transport) -> None:
    """Notice a cut cable: keep-alives that nobody acknowledges end the connection."""
    transport.set_keepalive(_KEEPALIVE_SECONDS)
    if isinstance(transport.sock, socket.socket):
        transport.sock.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE_MILLISECONDS
        )


def _identity(way: Ssh) -> dict[str, object]:
    if not way.key_file:
        return {"allow_agent": True, "look_for_keys": True}
    key = Path(way.key_file).expanduser()
    if not key.is_file():
        raise SettingsError(
            f"no private key {key} for {way}",
            hint="Put the key there, mode 0600, or correct key_file.",
        )
    return {"key_filename": str(key), "allow_agent": False, "look_for_keys": False}


def _trust_known_hosts_only(client: paramiko.SSHClient, way: Ssh) -> None:
    """Fabric would add any host key it meets; a restore must not go to a stranger."""
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    path = Path(way.known_hosts).expanduser()
    if path.is_file():
        client.load_host_keys(str(path))


def _refused(
    way: Ssh, target: tuple[str, int] | None, error: paramiko.ChannelException
) -> Unreachable:
    """Say what a living sshd did not want to open; the connection and its users stay."""
    if target is None:
        return Unreachable(
            f"sshd of {way.address} opens no further session",
            detail=f"{way}: {error}",
            hint="Raise MaxSessions in its sshd_config (10 by default), or end other sessions.",
        )
    return Unreachable(
        f"nothing answers on {target[0]} port {target[1]} of {way.address}",
        detail=f"{way}: {error}",
        hint="Is PostgreSQL listening there? Does sshd allow TCP forwarding?",
    )


def _unreachable(way: Ssh, error: BaseException) -> HostUnreachable:
    if isinstance(error, paramiko.BadHostKeyException):
        return LoginRefused(
            f"{way.address} shows another SSH host key than the known one",
            detail=f"expected {error.expected_key.fingerprint}, got {error.key.fingerprint}",
            hint="This is not the machine it was. Find out why before you change known_hosts.",
        )
    if isinstance(error, paramiko.AuthenticationException):
        return LoginRefused(
            f"{way.address} refuses the login {way.user}",
            detail=str(error),
            hint="Check key_file and the host's authorized_keys.",
        )
    if "not found in known_hosts" in str(error):
        return LoginRefused(
            f"the SSH host key of {way.address} is not known",
            detail=f"searched {way.known_hosts}",
            hint=f"Compare the fingerprint with the machine's console, then: "
            f"ssh-keyscan -p {way.port} {way.address} >> {way.known_hosts}",
        )
    said = "no answer" if isinstance(error, TimeoutError) else str(error)
    kind = HostUnreachable if _is_silence(error) else LoginRefused
    return kind(
        f"cannot reach {way.address} by SSH",
        detail=f"{way}: {said or type(error).__name__}",
        hint="Check that the host is up and that sshd answers there.",
    )


def _is_silence(error: BaseException) -> bool:
    """Tell whether no connection was taken; a machine that takes one and ends it is there."""
    if isinstance(error, ConnectionResetError | ConnectionAbortedError | BrokenPipeError):
        return False
    return isinstance(error, OSError | paramiko.ChannelException)
