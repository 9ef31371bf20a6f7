"""backup_manifest: read only if its own checksum agrees and its paths are safe."""

from __future__ import annotations

import json

import pytest
from conftest import SmallBackup, make_manifest, sign

from runbook.errors import Damaged, Refused
from runbook.stream.manifest import Manifest
from runbook.stream.segments import WalRange
from runbook.units import Lsn


def with_file(**entry: object) -> bytes:
    return make_manifest({}, Files=[entry])


def test_a_manifest_is_read(small: SmallBackup) -> None:
    manifest = Manifest.parse(small.manifest)
    assert manifest.files["PG_VERSION"].size == 3
    assert [str(span) for span in manifest.wal_ranges] == ["timeline 1, 0/200028 to 0/2000F0"]
    assert manifest.system_identifier is None


def test_version_2_names_the_system() -> None:
    raw = make_manifest({}, **{"PostgreSQL-Backup-Manifest-Version": 2, "System-Identifier": 7})
    assert Manifest.parse(raw).system_identifier == 7


def test_every_cut_and_changed_byte_is_noticed(small: SmallBackup) -> None:
    raw = small.manifest
    for at in range(len(raw) - 1):
        with pytest.raises((Damaged, Refused)):
            Manifest.parse(raw[:at])
        with pytest.raises((Damaged, Refused)):
            Manifest.parse(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", "a\nb"])
def test_a_hostile_path_is_refused(path: str) -> None:
    with pytest.raises(Refused, match="backup_manifest"):
        Manifest.parse(with_file(Path=path, Size=1))
    with pytest.raises(Refused, match="backup_manifest"):
        Manifest.parse(with_file(**{"Encoded-Path": path.encode().hex(), "Size": 1}))


def test_an_encoded_path_is_decoded() -> None:
    raw = with_file(**{"Encoded-Path": b"base/\xff".hex(), "Size": 1})
    assert [*Manifest.parse(raw).files] == ["base/\udcff"]


@pytest.mark.parametrize(
    "entry",
    [
        {"Path": "a", "Encoded-Path": "61", "Size": 1},
        {"Size": 1},
        {"Path": "a", "Size": -1},
        {"Path": "a", "Size": "1"},
        {"Path": "a//b", "Size": 1},
        {"Path": "a", "Size": 1, "Checksum-Algorithm": "MD5", "Checksum": "00"},
        {"Path": "a", "Size": 1, "Checksum-Algorithm": "CRC32C", "Checksum": "00"},
    ],
)
def test_an_impossible_entry_is_refused(entry: dict[str, object]) -> None:
    with pytest.raises(Damaged):
        Manifest.parse(with_file(**entry))


def test_a_path_listed_twice_is_refused() -> None:
    twice = [{"Path": "a", "Size": 1}] * 2
    with pytest.raises(Damaged, match="twice"):
        Manifest.parse(make_manifest({}, Files=twice))


def test_an_unknown_version_is_refused() -> None:
    body = json.dumps({"PostgreSQL-Backup-Manifest-Version": 9, "Files": []})[:-1]
    with pytest.raises(Refused, match="version 9"):
        Manifest.parse(sign(body))


def test_segments_of_a_range_have_postgresqls_names() -> None:
    span = WalRange(3, Lsn("1/FE000028").position, Lsn("2/1000000").position)
    assert [*span.segments(16 << 20)] == [
        "0000000300000001000000FE",
        "0000000300000001000000FF",
        "000000030000000200000000",
    ]
    assert str(Lsn(Lsn("16/B374D848").position)) == "16/B374D848"
