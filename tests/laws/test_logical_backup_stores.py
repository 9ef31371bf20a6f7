"""Logical backups in S3 and Azure: the page's layout, read by the page's commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.stores.places import Place, azure_place, s3_place
from tests.lab.loopback import LoopbackLab
from tests.laws import logical_backup_scene
from tests.laws.logical_backup_scene import GUID, Scene, by_the_page, comparable
from tests.laws.outcome import Point

pytestmark = pytest.mark.lab
FOLDER = "pg/logical"


@pytest.fixture(scope="module")
def built(loopback_lab: LoopbackLab) -> Scene:
    """Build the instance once."""
    return logical_backup_scene.build(loopback_lab, "lb2")


@pytest.fixture(params=["moto", "rclone", "azurite"])
def place(request: pytest.FixtureRequest) -> Place:
    """Give an empty folder of a store."""
    if request.param == "azurite":
        return azure_place(request.getfixturevalue("azurite"))
    return s3_place(request.getfixturevalue(f"{request.param}_s3"))


@pytest.fixture
def scene(built: Scene, place: Place, tmp_path: Path) -> Iterator[Scene]:
    """Give the instance with that store."""
    built.empty()
    (tmp_path / "secret").write_text(place.secret.secret.get_secret_value())
    built.store = {
        "location": place.location.model_dump(mode="json"),
        "key_id": place.secret.key_id,
        "secret": {"file": str(tmp_path / "secret")},
    }
    built.logical = {"folder": FOLDER}
    yield built
    built.empty()


def fetched(place: Place, into: Path) -> list[str]:
    """Download everything, as the page does with the store's own client; give the names."""
    into.mkdir()
    names = []
    with place.open() as store:
        for info in store.list(""):
            assert info.key.startswith(f"{FOLDER}/"), info.key
            names.append(info.key.rpartition("/")[2])
            (into / names[-1]).write_bytes(store.get(info.key))
    return names


def test_the_layout_is_the_page_s_and_its_commands_open_it(
    scene: Scene, place: Place, tmp_path: Path
) -> None:
    before = scene.plain()
    assert scene.run(at=Point("5", action=2)).ended == "killed"
    outcome = scene.run()
    assert outcome.completed, outcome.said
    assert "of an interrupted run is gone" in outcome.told
    azure = place.location.kind == "azure"
    names = set(fetched(place, tmp_path / "downloaded"))
    (record,) = {name for name in names if name.endswith(".json")}
    made = record.removesuffix(".json")
    assert made.startswith(f"{GUID}-")
    parts = {made} if azure else {f"{made}-{n}" for n in range(len(names) - 1)}
    assert names == {record, *parts}
    assert azure or len(parts) > 1
    dump = by_the_page(tmp_path / "downloaded", made, azure=azure)
    assert comparable(dump.read_text()) == before
    verified = scene.run("verify-logical-backup", backup=made)
    assert verified.completed, verified.said
    damaged(place, sorted(parts)[-1])
    refused = scene.run("verify-logical-backup")
    assert refused.ended == "Damaged", refused.said
    assert "is not what was stored" in refused.said


def damaged(place: Place, name: str) -> None:
    """Change one byte of an object."""
    with place.open() as store:
        key = f"{FOLDER}/{name}"
        data: Any = bytearray(store.get(key))
        data[len(data) // 2] ^= 1
        store.put(key, bytes(data), overwrite=True)
