"""A place of every kind, and the store in it."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook.stores import FolderStore, NodeFolderStore, OpenStore
from tests.contract.stores.places import Place, azure_place, s3_place, ssh_place

KINDS = ("folder", "node-folder", "node-ssh", "moto", "rclone", "azurite")


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Place(FolderStore(path=str(tmp_path / "store")))
    if request.param == "node-folder":
        return Place(NodeFolderStore(path=str(tmp_path / "node"), user=getpass.getuser()))
    if request.param == "node-ssh":
        return ssh_place(request.getfixturevalue("loopback_lab"))
    if request.param == "azurite":
        return azure_place(request.getfixturevalue("azurite"))
    return s3_place(request.getfixturevalue(f"{request.param}_s3"))


@pytest.fixture
def store(place: Place) -> Iterator[OpenStore]:
    with place.open() as opened:
        yield opened
