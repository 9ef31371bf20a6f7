"""A backup against its manifest: every change is noticed, by the manifest first or last."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

import pytest
from conftest import (
    SEGMENT,
    SYSTEM,
    WAL_NAME,
    SmallBackup,
    base_files,
    make_manifest,
    make_tar,
    wal_segment,
)

from runbook.errors import Damaged, Refused
from runbook.stream.codecs import Codec
from runbook.stream.facts import BackupFacts, parse_tablespace_map
from runbook.stream.manifest import Manifest
from runbook.stream.stored import CheckedArchive, Forward
from runbook.stream.take import StoredObject
from runbook.stream.tar import TarReader
from runbook.stream.verify import BackupCheck


def verify(archives: dict[str, bytes], raw: bytes, *, first: bool) -> BackupFacts:
    return compared(archives, Manifest.parse(raw), first=first)


def compared(archives: dict[str, bytes], manifest: Manifest, *, first: bool) -> BackupFacts:
    check = BackupCheck(manifest if first else None)
    for name, data in archives.items():
        reader = TarReader(name, check.archive(name))
        reader.feed(data)
        reader.finish()
    return check.finish(manifest)


@pytest.mark.parametrize("first", [True, False])
def test_a_whole_backup_tells_its_facts(small: SmallBackup, first: bool) -> None:
    facts = verify(small.archives, small.manifest, first=first)
    assert facts.system_identifier == SYSTEM
    assert facts.major_version == "15"
    assert facts.tablespaces == {16384: "/srv/ts1"}
    assert facts.label.label == "small"
    assert facts.wal_segment_size == SEGMENT
    assert facts.self_contained


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", ["base.tar", "16384.tar"])
def test_every_changed_byte_is_noticed_or_is_padding(
    small: SmallBackup, name: str, first: bool
) -> None:
    raw = small.archives[name]
    whole, manifest = contents(raw), Manifest.parse(small.manifest)
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 0x11]) + raw[at + 1 :]
        try:
            compared(small.archives | {name: changed}, manifest, first=first)
        except (Damaged, Refused):
            continue
        assert contents(changed) == whole, f"byte {at} changed unnoticed"


def contents(raw: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        found = {}
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            found[member.name] = file.read()
        return found


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"base/1/9999": b"stale"}, '"base/1/9999" is in the backup but not in the manifest'),
        ({"base/1/1259": None}, '"base/1/1259" is missing'),
        ({"base/1/1259": b"short"}, '"base/1/1259" has 5 bytes, the manifest says 560'),
        ({"base/1/1259": b"relatioN" * 70}, '"base/1/1259" has CRC32C'),
        ({"global/pg_control": None}, '"global/pg_control" is missing'),
        ({"backup_label": None}, '"backup_label" is missing'),
        ({"tablespace_map": None}, '"tablespace_map" is missing'),
    ],
)
def test_a_difference_is_named(
    small: SmallBackup, files: dict[str, bytes | None], said: str, first: bool
) -> None:
    changed = {k: v for k, v in (base_files() | files).items() if v is not None}
    archives = small.archives | {"base.tar": make_tar(changed)}
    with pytest.raises(Damaged) as damage:
        verify(archives, small.manifest, first=first)
    assert said in damage.value.detail


@pytest.mark.parametrize("first", [True, False])
def test_what_pg_verifybackup_ignores_is_ignored(small: SmallBackup, first: bool) -> None:
    extra = {"postgresql.auto.conf": b"x", "standby.signal": b"", "recovery.signal": b""}
    archives = small.archives | {"base.tar": make_tar(base_files() | extra)}
    verify(archives, small.manifest, first=first)


@pytest.mark.parametrize("missing", ["16384.tar", "base.tar"])
def test_a_missing_archive_is_named(small: SmallBackup, missing: str) -> None:
    archives = {name: raw for name, raw in small.archives.items() if name != missing}
    with pytest.raises(Damaged, match="missing"):
        verify(archives, small.manifest, first=True)


def test_an_empty_tablespace_still_needs_its_archive(small: SmallBackup) -> None:
    archives = {name: raw for name, raw in small.archives.items() if name != "16384.tar"}
    with pytest.raises(Damaged, match="tablespace 16384 has no archive"):
        verify(archives, make_manifest(base_files()), first=True)


@pytest.mark.parametrize(
    ("wal", "said"),
    [
        ({}, "holds no WAL"),
        ({"000000010000000000000003": wal_segment(number=3)}, "is missing"),
        ({WAL_NAME: wal_segment()[:-512]}, "bytes instead of"),
        ({WAL_NAME: wal_segment(system=5)}, "system identifier 5"),
        ({WAL_NAME: wal_segment(number=7)}, "recycled"),
        ({WAL_NAME: bytes(SEGMENT)}, "holds no WAL"),
    ],
)
def test_missing_or_foreign_wal_is_named(
    small: SmallBackup, wal: dict[str, bytes], said: str
) -> None:
    archives = small.archives | {"pg_wal.tar": make_tar(wal)}
    with pytest.raises(Damaged) as damage:
        verify(archives, small.manifest, first=True)
    assert said in damage.value.detail


def test_another_clusters_control_file_is_named(small: SmallBackup) -> None:
    files = base_files() | {"pg_tblspc/16384/PG_15_202209061/5/16386": b"rows" * 200}
    changes = {"PostgreSQL-Backup-Manifest-Version": 2, "System-Identifier": 42}
    with pytest.raises(Damaged, match="the manifest 42"):
        verify(small.archives, make_manifest(files, **changes), first=True)


@pytest.mark.parametrize("name", ["base.tar", "../base.tar", "16384.tar.gz.sh", "base.zip"])
def test_an_archive_that_is_none_or_comes_twice_is_refused(name: str) -> None:
    check = BackupCheck()
    check.archive("base.tar.zst")
    with pytest.raises(Refused):
        check.archive(name)


def chunks(raw: bytes, size: int = 999) -> Iterator[bytes]:
    yield from (raw[at : at + size] for at in range(0, len(raw), size))


def zstd(raw: bytes) -> bytes:
    encoder = Codec.ZSTD.encoder()
    return encoder.feed(raw) + encoder.finish()


@pytest.mark.parametrize("forward", list(Forward))
def test_a_stored_archive_is_handed_on_as_asked(small: SmallBackup, forward: Forward) -> None:
    raw = zstd(small.archives["base.tar"])
    check = BackupCheck(Manifest.parse(small.manifest))
    archive = CheckedArchive("base.tar.zst", chunks(raw, 100), check, forward=forward)
    got = b"".join(archive)
    wanted = {
        Forward.NOTHING: b"",
        Forward.STORED: raw,
        Forward.DECODED: small.archives["base.tar"],
    }
    assert got == wanted[forward]
    assert archive.seen is not None
    assert archive.seen.size == len(raw)


@pytest.mark.parametrize("forward", [Forward.STORED, Forward.DECODED])
def test_a_damaged_file_is_not_handed_on(small: SmallBackup, forward: Forward) -> None:
    files = base_files() | {"base/1/1259": b"evil" * 140}
    check = BackupCheck(Manifest.parse(small.manifest))
    raw = make_tar(files)
    archive = CheckedArchive("base.tar", chunks(raw), check, forward=forward)
    pieces: list[bytes] = []
    with pytest.raises(Damaged, match="base/1/1259"):
        pieces.extend(archive)
    got = b"".join(pieces)
    assert 0 < len(got) < len(raw)
    assert got == raw[: len(got)]
    assert b"evil" * 140 not in got


def test_another_object_than_the_stored_one_is_refused(small: SmallBackup) -> None:
    raw = small.archives["base.tar"]
    check = BackupCheck(Manifest.parse(small.manifest))
    expected = StoredObject("base.tar", len(raw), "00" * 32)
    archive = CheckedArchive("base.tar", chunks(raw), check, expected=expected)
    with pytest.raises(Damaged, match="not the one that was stored"):
        archive.verify()


def test_a_reader_that_goes_away_stops_the_check(small: SmallBackup) -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        yield small.archives["base.tar"]
        while True:
            read += 1
            yield bytes(512)

    check = BackupCheck(Manifest.parse(small.manifest))
    pieces = iter(CheckedArchive("base.tar", endless(), check, forward=Forward.STORED))
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    seen = read
    assert seen < 20
    assert read == seen


def test_a_tablespace_map_with_odd_paths_is_read() -> None:
    assert parse_tablespace_map(b"1 /a b\n2 /new\\\nline\n3 /back\\\\slash\n") == {
        1: "/a b",
        2: "/new\nline",
        3: "/back\\slash",
    }
