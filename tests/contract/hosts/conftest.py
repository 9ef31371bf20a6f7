"""One host with sshd for each module of tests, and the ways into it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runbook.hosts import Host, Local
from tests.contract.hosts.scene import ssh_to
from tests.lab.loopback import LoopbackLab
from tests.lab.sshd import Host as LabHost


@pytest.fixture(scope="module")
def machine(request: pytest.FixtureRequest, loopback_lab: LoopbackLab) -> LabHost:
    """Give a host with sshd."""
    return loopback_lab.host(request.module.__name__.removeprefix("test_").replace("_", ""))


@pytest.fixture(params=["local", "ssh"])
def host(request: pytest.FixtureRequest, machine: LabHost) -> Iterator[Host]:
    """Give the same machine through one way and the other."""
    way = Local() if request.param == "local" else ssh_to(machine)
    yield Host(name="it", way=way)
    way.close()


@pytest.fixture
def remote(machine: LabHost) -> Iterator[Host]:
    """Give the machine over SSH alone."""
    host = Host(name="it", way=ssh_to(machine))
    yield host
    host.way.close()
