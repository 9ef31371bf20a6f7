"""Folders as stores, on the worker and on a node: rights, full disks, cut files, lost ways."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import pytest

from runbook.errors import StoreError, StoreForbidden
from runbook.hosts import Host
from runbook.restore.place import look
from runbook.stores import FolderStore, NodeFolderStore
from tests.contract.stores.places import Place, pattern, put_large, ssh_place
from tests.lab.loopback import LoopbackLab
from tests.lab.processes import until
from tests.lab.trouble import full_disk

MIB = 1 << 20


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    for location in (
        FolderStore(path=str(tmp_path / "worker")),
        NodeFolderStore(path=str(tmp_path / "node"), user=getpass.getuser()),
    ):
        with Place(location).open() as store:
            put_large(store, "shop/b/base.tar", b"1")
        root = Path(location.path)
        modes = [path.stat().st_mode & 0o777 for path in (root, root / "shop", root / "shop/b")]
        assert modes == [0o700] * 3
        assert (root / "shop/b/base.tar").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_may_not_be_searched_is_not_taken_for_an_empty_one(
    loopback_lab: LoopbackLab,
) -> None:
    place = ssh_place(loopback_lab)
    assert isinstance(place.location, NodeFolderStore)
    Path(place.location.path).mkdir(mode=0o700)  # root's own
    with place.open() as store:
        with pytest.raises(StoreForbidden, match="cannot use"):
            list(store.list(""))
        with pytest.raises(StoreForbidden, match="cannot use"):
            put_large(store, "a", b"1")


def test_a_full_disk_ends_an_upload_and_leaves_nothing(
    loopback_lab: LoopbackLab, tmp_path: Path
) -> None:
    with loopback_lab.trouble.full_disk(tmp_path / "full", free=3 * MIB) as full:
        for location in (
            FolderStore(path=f"{full}/worker"),
            NodeFolderStore(path=f"{full}/node", user=getpass.getuser()),
        ):
            with Place(location).open() as store:
                with pytest.raises(StoreError, match="cannot write") as refused:
                    put_large(store, "a", bytes(8 * MIB))
                assert "No space left" in refused.value.detail
                assert store.abandoned("") == []


def test_a_program_that_stops_reading_is_heard_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy host some time lies between the broken pipe and the line that tells why."""
    slow = tmp_path / "bin" / "cat"
    slow.parent.mkdir()
    said = "cat: write error: No space left on device"
    slow.write_text(f"#!/bin/sh\nexec <&-\nsleep 1\necho '{said}' >&2\nexit 1\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    with Place(NodeFolderStore(path=f"{tmp_path}/node", user=getpass.getuser())).open() as store:
        with pytest.raises(StoreError, match="cannot write") as refused:
            put_large(store, "a", bytes(8 * MIB))
        assert "No space left" in refused.value.detail


def test_free_space_is_told_whatever_the_file_system_is_called(tmp_path: Path) -> None:
    with full_disk(tmp_path / "share", free=4 * MIB) as folder:
        location = NodeFolderStore(path=f"{folder}/not/yet", user=getpass.getuser())
        with Place(location).open() as store:
            assert store.free_space() == 4 * MIB
        seen = look(Host(name="here"), str(folder), getpass.getuser())
        assert (seen.free, seen.size) == (4 * MIB, 16 * MIB)


@pytest.mark.parametrize("kind", ["node-folder", "node-ssh"])
def test_a_file_that_did_not_come_whole_never_gets_its_name(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    local = Place(NodeFolderStore(path=str(tmp_path / "node"), user=getpass.getuser()))
    place = local if kind == "node-folder" else ssh_place(request.getfixturevalue("loopback_lab"))
    assert isinstance(place.location, NodeFolderStore)
    with place.open() as store, store.upload("a") as upload:
        upload.write(bytes(3 * MIB))
        folder = Path(place.location.path)
        until(lambda: store.abandoned("") != [], "the part is there")
        part = folder / store.abandoned("")[0]
        until(lambda: part.stat().st_size == 3 * MIB, "the part has its bytes")
        os.truncate(part, MIB)
        with pytest.raises(StoreError, match="cannot write"):
            upload.commit()
    with place.open() as store:
        assert list(store.list("")) == []
        assert store.abandoned("") == []


def test_reading_goes_on_when_the_way_into_a_node_was_lost(loopback_lab: LoopbackLab) -> None:
    place, data = ssh_place(loopback_lab), pattern(40 * MIB + 1)
    with place.open() as store:
        put_large(store, "a", data)
        pieces = store.read("a")
        read = next(pieces)
        with loopback_lab.trouble.unreachable(loopback_lab.host("stores")):
            pass
        assert read + b"".join(pieces) == data
