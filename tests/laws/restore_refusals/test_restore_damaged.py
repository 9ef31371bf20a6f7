"""Backups that are damaged, forged or hostile: refused before the first change; nothing is lost."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.laws.restore_refusals.refusal import refused
from tests.laws.restore_scene import Scene

pytestmark = pytest.mark.lab


def folder(shop: Scene) -> Path:
    return shop.store / shop.backup


def edit_record(shop: Scene, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder(shop) / "backup.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def replace_object(shop: Scene, name: str, content: bytes) -> None:
    """Put other bytes in the place of an object, and let backup.json vouch for them."""
    (folder(shop) / name).write_bytes(content)

    def vouch(record: dict[str, Any]) -> None:
        entry = next(item for item in record["objects"] if item["name"] == name)
        entry |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    edit_record(shop, vouch)


def base_tar(shop: Scene) -> bytes:
    with (folder(shop) / "base.tar.zst").open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file).read()


def with_member(raw: bytes, member: tarfile.TarInfo) -> bytes:
    """Add a member to a tar."""
    extra = io.BytesIO()
    with tarfile.open(fileobj=extra, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(b"x" * member.size))
    return extra.getvalue()[: 512 + (512 if member.size else 0)] + raw


def member(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def test_a_backup_without_its_record_is_no_backup(shop: Scene) -> None:
    (folder(shop) / "backup.json").unlink()
    refused(shop, "has no backup.json")
    refused(shop, "there is no sound backup", backup="latest")


@pytest.mark.parametrize("name", ["base.tar.zst", "backup_manifest"])
def test_a_missing_object_is_refused(shop: Scene, name: str) -> None:
    (folder(shop) / name).unlink()
    assert refused(shop, name).ended == "Damaged"


def test_an_extra_archive_is_refused(shop: Scene) -> None:
    (folder(shop) / "99999.tar.zst").write_bytes(b"x")
    assert "does not belong" in refused(shop, "99999.tar.zst").said


def test_swapped_archives_are_refused(shop: Scene) -> None:
    space = next(path for path in folder(shop).glob("[0-9]*.tar.zst"))
    base = folder(shop) / "base.tar.zst"
    one, other = base.read_bytes(), space.read_bytes()
    base.write_bytes(other)
    space.write_bytes(one)
    assert refused(shop, "instance-restore step").ended == "Damaged"


@pytest.mark.parametrize("where", [0.2, 0.6, 0.999])
def test_one_changed_byte_is_refused(shop: Scene, where: float) -> None:
    path = folder(shop) / "base.tar.zst"
    raw = bytearray(path.read_bytes())
    raw[int(len(raw) * where)] ^= 1
    path.write_bytes(raw)
    assert refused(shop, "instance-restore step 2").ended == "Damaged"


def test_a_cut_archive_is_refused_though_its_record_agrees(shop: Scene) -> None:
    raw = (folder(shop) / "base.tar.zst").read_bytes()
    replace_object(shop, "base.tar.zst", raw[: len(raw) // 2])
    assert refused(shop, "instance-restore step 2").ended == "Damaged"


def test_an_archive_cut_at_a_member_boundary_is_refused(shop: Scene) -> None:
    raw = base_tar(shop)
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        members = tar.getmembers()
    cut = raw[: members[len(members) // 2].offset] + bytes(1024)
    replace_object(shop, "base.tar.zst", zstandard.compress(cut))
    assert refused(shop, "instance-restore step 2").ended == "Damaged"


@pytest.mark.parametrize(
    "hostile",
    [
        member("/etc/cron.d/owned", size=4),
        member("../../owned", size=4),
        member("base/../../owned", size=4),
        member("pg_link", type=tarfile.SYMTYPE, linkname="/etc"),
        member("pg_hard", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        member("pg_device", type=tarfile.CHRTYPE),
    ],
    ids=lambda info: f"{info.name} {info.type.decode()}",
)
def test_a_hostile_member_is_refused(shop: Scene, hostile: tarfile.TarInfo) -> None:
    raw = with_member(base_tar(shop), hostile)
    replace_object(shop, "base.tar.zst", zstandard.compress(raw))
    assert refused(shop, "instance-restore step 2").ended in ("Refused", "Damaged")
    assert not Path("/etc/cron.d/owned").exists()
    assert not list(shop.node.directory.rglob("owned"))


def test_an_extra_file_in_the_archive_is_refused(shop: Scene) -> None:
    raw = with_member(base_tar(shop), member("base/extra", size=4))
    replace_object(shop, "base.tar.zst", zstandard.compress(raw))
    assert refused(shop, "instance-restore step 2").ended == "Damaged"


def test_gzip_garbage_after_the_archive_is_refused(shop: Scene) -> None:
    raw = gzip.compress(base_tar(shop), 1) + b"garbage"
    path = folder(shop)
    (path / "base.tar.zst").unlink()
    (path / "base.tar.gz").write_bytes(raw)

    def rename(record: dict[str, Any]) -> None:
        entry = next(item for item in record["objects"] if item["name"] == "base.tar.zst")
        digest = hashlib.sha256(raw).hexdigest()
        entry |= {"name": "base.tar.gz", "size": len(raw), "sha256": digest}

    edit_record(shop, rename)
    assert refused(shop, "instance-restore step 2").ended == "Damaged"


def test_another_major_version_is_refused(shop: Scene) -> None:
    edit_record(shop, lambda record: record.update(server_version="14"))
    refused(shop, "is version 14, as in the backup")


def test_another_database_system_is_refused_and_a_forged_record_too(shop: Scene) -> None:
    edit_record(shop, lambda record: record.update(system_identifier="7000000000000000001"))
    assert "other_system=true" in refused(shop, "this very database system").said
    refused(shop, "does not tell the truth", other_system=True)
