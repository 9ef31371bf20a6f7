"""Replication connections: what the server tells, and what is told of one that is refused."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from runbook.errors import CheckFailed, SettingsError, Unreachable
from runbook.stream.base_backup import compressions, identify, show
from runbook.stream.codecs import Codec
from runbook.stream.replication import Replication
from tests.contract.stream.server import DEBIAN, EMBEDDED, Server, free_port, run


def test_the_server_tells_who_it_is(any_server: Server) -> None:
    connection = Replication(any_server.conninfo)
    identity = identify(connection)
    assert show(connection, "wal_segment_size") == "16MB"
    connection.close()
    control = run(any_server.bin / "pg_controldata", any_server.home / "data")
    assert str(identity.system_identifier) in control


def test_the_builds_compressions_are_found_out(pg15: Server, pg18: Server) -> None:
    found = {}
    for each in (pg15, pg18):
        connection = Replication(each.conninfo)
        found[each.bin] = compressions(connection)
        assert identify(connection).timeline == 1
        connection.close()
    assert found == {DEBIAN: set(Codec), EMBEDDED: {Codec.NONE, Codec.GZIP}}


def test_a_wrong_password_is_refused_and_not_repeated(any_server: Server) -> None:
    with pytest.raises(CheckFailed) as refused:
        Replication(any_server.conninfo.replace("open-sesame", "s3cret"))
    assert "password authentication failed" in refused.value.detail
    assert "s3cret" not in str(refused.value)


def test_unreadable_settings_are_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        Replication("host=127.0.0.1 password='s3cret")
    assert "s3cret" not in str(refused.value)


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        Replication(f"host=127.0.0.1 port={free_port()} user=postgres")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        with pytest.raises(Unreachable, match="within 1 s"):
            Replication(f"host=127.0.0.1 port={deaf.getsockname()[1]}", connect_timeout=1)


def test_a_server_that_falls_silent_is_not_waited_for_longer_than_is_said(pg15: Server) -> None:
    connection = Replication(pg15.conninfo, application_name="silent")
    asked = "SELECT pid FROM pg_stat_replication WHERE application_name = 'silent'"
    pid = int(pg15.psql(asked))
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unreachable, match="lost"):
            identify(connection, 0.5)
    finally:
        os.kill(pid, signal.SIGCONT)
        connection.close()
