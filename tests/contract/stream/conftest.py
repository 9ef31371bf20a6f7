"""One server of each release for all tests of the stream."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.stream.server import DEBIAN, EMBEDDED, Server, server


@pytest.fixture(scope="session")
def pg15() -> Iterator[Server]:
    with server(DEBIAN) as made:
        yield made


@pytest.fixture(scope="session")
def pg18() -> Iterator[Server]:
    with server(EMBEDDED) as made:
        yield made


@pytest.fixture(params=["pg15", "pg18"])
def any_server(request: pytest.FixtureRequest) -> Server:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Server)
    return found
