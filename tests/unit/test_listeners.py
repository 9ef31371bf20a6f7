"""A port that another program has, whatever address of a name it has it on."""

from __future__ import annotations

import socket

import pytest

from deployments.listeners import is_taken


def test_a_port_is_taken_on_any_address_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where `localhost` is ::1 first: what listens on 127.0.0.1 is seen, too."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        both = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        assert is_taken("localhost", port)
    assert not is_taken("localhost", port)


def test_a_name_that_does_not_resolve_is_not_taken() -> None:
    assert not is_taken("nowhere.invalid", 4200)
