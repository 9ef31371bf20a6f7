"""One contract for every store."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook.errors import ObjectMissing, StoreError
from runbook.stores import FolderStore, NodeFolderStore, OpenStore
from tests.contract.stores.places import Place, pattern, put_large, s3_place

MIB = 1 << 20


@pytest.mark.parametrize("size", [0, 1, 5 * MIB + 3, 16 * MIB, 40 * MIB + 17])
def test_what_is_uploaded_comes_back_to_the_byte(store: OpenStore, size: int) -> None:
    data = pattern(size)
    put_large(store, "shop/backup/base.tar", data, 700_001)
    assert b"".join(store.read("shop/backup/base.tar")) == data
    assert store.head("shop/backup/base.tar").size == size
    assert [info.key for info in store.list("")] == ["shop/backup/base.tar"]


def test_reading_may_start_anywhere(store: OpenStore) -> None:
    data = pattern(3 * MIB + 5)
    put_large(store, "a", data, MIB)
    assert b"".join(store.read("a", start=2 * MIB + 1, chunk=1000)) == data[2 * MIB + 1 :]
    assert b"".join(store.read("a", start=len(data))) == b""


def test_nothing_is_overwritten_unless_asked(store: OpenStore) -> None:
    store.put("a", b"first")
    with pytest.raises(StoreError, match="exists already"):
        store.put("a", b"second")
    with pytest.raises(StoreError, match="exists already"):
        put_large(store, "a", b"third", 2)
    assert store.get("a") == b"first"
    store.put("a", b"fourth", overwrite=True)
    assert store.get("a") == b"fourth"


def test_missing_objects_are_told_apart(store: OpenStore) -> None:
    for ask in (store.get, store.head, lambda key: list(store.read(key))):
        with pytest.raises(ObjectMissing):
            ask("nothing")
    store.remove(["nothing"])


def test_listing_is_by_prefix_and_in_order(store: OpenStore) -> None:
    for key in ("shop/b/2", "shop/a/1", "shop2/a/1", "sho", "shop/a/0"):
        store.put(key, key.encode())
    assert [info.key for info in store.list("shop/")] == ["shop/a/0", "shop/a/1", "shop/b/2"]
    assert [info.key for info in store.list("shop")][-1] == "shop2/a/1"
    assert all(info.modified.tzinfo is not None for info in store.list(""))


def test_removal_leaves_the_others(store: OpenStore) -> None:
    for key in ("x/1", "x/2", "y/1"):
        store.put(key, b"1")
    store.remove(["x/1", "x/2"])
    assert [info.key for info in store.list("")] == ["y/1"]


@pytest.mark.parametrize("key", ["../a", "/a", "a/../../b", "", "a//b", "./a", "a\n", "a.part-1"])
def test_a_name_that_leaves_the_store_is_refused(store: OpenStore, key: str) -> None:
    with pytest.raises(StoreError):
        store.put(key, b"1")


@pytest.mark.parametrize("kind", ["folder", "moto", "rclone"])
def test_more_than_a_thousand_objects_are_listed_and_removed(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = Place(FolderStore(path=str(tmp_path)))
    place = folder if kind == "folder" else s3_place(request.getfixturevalue(f"{kind}_s3"))
    with place.open() as store:
        for number in range(1005):
            store.put(f"{number:04}", b"", overwrite=True)
        keys = [info.key for info in store.list("")]
        assert keys == [f"{number:04}" for number in range(1005)]
        store.remove(keys)
        assert list(store.list("")) == []


def test_looking_makes_nothing(place: Place, store: OpenStore) -> None:
    assert list(store.list("shop/")) == []
    assert store.abandoned("shop/") == []
    assert store.clear_abandoned("shop/") == 0
    assert store.lifecycle_rules("shop/") == []
    free = store.free_space()
    assert free is None or free > 0
    if isinstance(place.location, FolderStore | NodeFolderStore):
        assert not Path(place.location.path).exists()
