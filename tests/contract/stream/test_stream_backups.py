"""Backups off the stream: verified by us and by PostgreSQL's own tools, restored, started."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runbook.errors import Damaged
from runbook.stream.base_backup import BackupOptions, Compression, base_backup
from runbook.stream.codecs import Codec
from runbook.stream.facts import BackupFacts
from runbook.stream.manifest import Manifest
from runbook.stream.replication import Replication
from runbook.stream.stored import CheckedArchive
from runbook.stream.take import Encoding, TakenBackup, take
from runbook.stream.verify import BackupCheck
from tests.contract.stream.server import DEBIAN, EMBEDDED, ROWS, Server, free_port, run

ZSTD = Compression(Codec.ZSTD, level=1, workers=2)


def taken(
    source: Server,
    folder: Path,
    compression: Compression,
    encoding: Encoding | None = None,
    checksums: str = "CRC32C",
) -> TakenBackup:
    connection = Replication(source.conninfo)
    options = BackupOptions("it's a test \\", compression, checksums=checksums)
    try:
        return take(
            base_backup(connection, options),
            lambda name: (folder / name).open("wb"),
            encoding=encoding,
            checksums=checksums,
        )
    finally:
        connection.close()


def verified(folder: Path) -> BackupFacts:
    """Verify archives in a folder, manifest first."""
    check = BackupCheck(Manifest.parse((folder / "backup_manifest").read_bytes()))
    for path in sorted(folder.glob("*.tar*")):
        with path.open("rb") as file:
            CheckedArchive(path.name, iter(lambda f=file: f.read(1 << 17), b""), check).verify()
    return check.finish()


def extracted(source: Server, folder: Path, facts: BackupFacts, name: str) -> Path:
    """Unpack as a DBA would, tablespaces into directories of their own."""
    data = source.folder(name)
    tools = {".zst": "zstd", ".lz4": "lz4", ".gz": "gzip"}
    for path in sorted(folder.glob("*.tar*")):
        stem = path.name.partition(".")[0]
        into = {"base": data, "pg_wal": data / "pg_wal"}.get(stem)
        into = into or source.folder(f"{name}-{stem}")
        tool = ("-I", tools[path.suffix]) if path.suffix in tools else ()
        path.chmod(0o644)
        shutil.copy(path, source.home / path.name)
        run("tar", "-x", *tool, "-f", source.home / path.name, "-C", into)
    for oid in facts.tablespaces:
        run("ln", "-s", source.home / f"{name}-{oid}", data / "pg_tblspc" / str(oid))
    mapped = "".join(f"{oid} {source.home / f'{name}-{oid}'}\n" for oid in facts.tablespaces)
    manifest = source.home / f"{name}-manifest"
    shutil.copy(folder / "backup_manifest", manifest)
    manifest.chmod(0o644)
    run(source.bin / "pg_verifybackup", "-m", manifest, data)
    (data / "tablespace_map").write_text(mapped)
    return data


def rows_after_start(source: Server, data: Path) -> int:
    port = free_port()
    source.start(data, port)
    try:
        count = "select (select count(*) from in_one) + (select count(*) from in_two)"
        return int(source.psql(count, port))
    finally:
        source.stop(data)


@pytest.mark.parametrize(
    ("name", "compression", "encoding"),
    [
        ("zstd", ZSTD, None),
        ("lz4", Compression(Codec.LZ4), None),
        ("gzip", Compression(Codec.GZIP, level=1), None),
        ("plain", Compression(), None),
        ("own-zstd", Compression(), Encoding(Codec.ZSTD)),
    ],
)
def test_a_backup_of_15_is_verified_restored_and_started(
    pg15: Server, tmp_path: Path, name: str, compression: Compression, encoding: Encoding | None
) -> None:
    backup = taken(pg15, tmp_path, compression, encoding)
    assert {o.name: o.size for o in backup.objects} == {
        p.name: p.stat().st_size for p in tmp_path.iterdir()
    }
    assert backup.objects[-1].name == "backup_manifest"
    assert len(backup.facts.tablespaces) == 2
    assert backup.facts.label.label == "it's a test \\"
    assert verified(tmp_path) == backup.facts
    assert rows_after_start(pg15, extracted(pg15, tmp_path, backup.facts, name)) == 2 * ROWS


@pytest.mark.parametrize("encoding", [None, Encoding(Codec.ZSTD), Encoding(Codec.GZIP)])
def test_a_backup_of_18_is_verified_restored_and_started(
    pg18: Server, tmp_path: Path, encoding: Encoding | None
) -> None:
    backup = taken(pg18, tmp_path, Compression(), encoding)
    assert backup.manifest.version == 2
    assert verified(tmp_path) == backup.facts
    name = encoding.codec if encoding else "plain"
    assert rows_after_start(pg18, extracted(pg18, tmp_path, backup.facts, name)) == 2 * ROWS


@pytest.mark.parametrize("checksums", ["NONE", "SHA224", "SHA256", "SHA384", "SHA512"])
def test_every_kind_of_manifest_checksum_is_verified(
    pg15: Server, tmp_path: Path, checksums: str
) -> None:
    backup = taken(pg15, tmp_path, ZSTD, checksums=checksums)
    assert {file.algorithm for file in backup.manifest.files.values()} == {checksums}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("page", ["-z", "-X", "fetch"]),
        ("stream", ["-X", "stream"]),
        ("stream-gz", ["-z", "-X", "stream"]),
        ("zstd", ["--compress=server-zstd:level=1,workers=2", "-X", "fetch"]),
        ("client-lz4", ["--compress=client-lz4", "-X", "stream"]),
    ],
)
def test_what_pg_basebackup_wrote_is_verified(pg15: Server, name: str, options: list[str]) -> None:
    folder = pg15.home / f"made-{name}"
    where = ("-h", str(pg15.home), "-p", str(pg15.port), "-U", "postgres")
    run(DEBIAN / "pg_basebackup", *where, "-F", "tar", "-c", "fast", "-D", folder, *options)
    facts = verified(folder)
    assert facts.self_contained
    assert len(facts.tablespaces) == 2


def test_what_pg_basebackup_18_wrote_is_verified(pg18: Server) -> None:
    folder = pg18.home / "made"
    where = ("-h", str(pg18.home), "-p", str(pg18.port), "-U", "postgres")
    run(EMBEDDED / "pg_basebackup", *where, "-F", "tar", "-z", "-c", "fast", "-D", folder)
    assert verified(folder).major_version == "18"


def test_a_page_the_server_finds_damaged_spoils_the_backup(pg18: Server, tmp_path: Path) -> None:
    pg18.psql("create table spoilt as select generate_series(1, 5000)")
    pg18.psql("checkpoint")
    path = pg18.home / "data" / pg18.psql("select pg_relation_filepath('spoilt')")
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:9000] + b"\xff" * 100 + whole[9100:])
        with pytest.raises(Damaged, match="checksum"):
            taken(pg18, tmp_path, Compression())
    finally:
        path.write_bytes(whole)
    assert not (tmp_path / "backup_manifest").exists()
