"""The labs as fixtures; each lab is built at its first use in a module, and ends with it."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from tests.lab import azurite as azure
from tests.lab import s3
from tests.lab.azurite import BlobServer
from tests.lab.loopback import LoopbackLab
from tests.lab.machines import MachinesLab
from tests.lab.s3 import S3Server

# What an example takes is told by how busy the machine is, and no law speaks of it.
settings.register_profile("any machine", settings.default, deadline=None)
settings.load_profile("any machine")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage in what is imported: all of it stays, and looking takes half the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="module")
def loopback_lab() -> Iterator[LoopbackLab]:
    """Hosts on loopback addresses; ask it for nodes with names of your own."""
    with LoopbackLab() as lab:
        yield lab


@pytest.fixture(scope="session")
def moto_s3() -> Iterator[S3Server]:
    """moto's S3 server, with an empty bucket."""
    with s3.moto() as server:
        yield server


@pytest.fixture(scope="session")
def rclone_s3() -> Iterator[S3Server]:
    """rclone's S3 server, with an empty bucket."""
    with s3.rclone() as server:
        yield server


@pytest.fixture(scope="session")
def azurite() -> Iterator[BlobServer]:
    """Azurite's blob service, with an empty container."""
    with azure.azurite() as server:
        yield server


@pytest.fixture(scope="module")
def machines_lab() -> Iterator[MachinesLab]:
    """Machines with systemd; ask it for machines with names of your own."""
    with MachinesLab() as lab:
        yield lab
