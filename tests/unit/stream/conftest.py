"""A backup small enough to change every byte of it."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
from dataclasses import dataclass

import google_crc32c
import pytest

SYSTEM = 7710477577329425175
SEGMENT = 1 << 20
START = 2 * SEGMENT + 40
WAL_NAME = "000000010000000000000002"


@dataclass(frozen=True)
class SmallBackup:
    """Archives by name and the manifest."""

    archives: dict[str, bytes]
    manifest: bytes


def wal_segment(system: int = SYSTEM, number: int = 2) -> bytes:
    header = struct.pack("<HHIQIxxxxQII", 0xD110, 2, 1, number * SEGMENT, 0, system, SEGMENT, 8192)
    return header + b"\x01" * (SEGMENT - len(header))


def base_files() -> dict[str, bytes]:
    label = (
        f"START WAL LOCATION: 0/{START:X} (file {WAL_NAME})\nBACKUP FROM: primary\n"
        "START TIME: 2026-01-01 02:00:00 UTC\nLABEL: small\nSTART TIMELINE: 1\n"
    )
    return {
        "backup_label": label.encode(),
        "tablespace_map": b"16384 /srv/ts1\n",
        "PG_VERSION": b"15\n",
        "base/1/1259": b"relation" * 70,
        "global/pg_control": SYSTEM.to_bytes(8, "little") + b"\x07" * 40,
    }


def make_tar(files: dict[str, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o600
            tar.addfile(info, io.BytesIO(content))
        end = tar.offset + 1024
    return out.getvalue()[:end]


def make_manifest(files: dict[str, bytes], **changes: object) -> bytes:
    listed = [
        {
            "Path": name,
            "Size": len(content),
            "Last-Modified": "2026-01-01 02:00:00 GMT",
            "Checksum-Algorithm": "CRC32C",
            "Checksum": google_crc32c.value(content).to_bytes(4, "little").hex(),
        }
        for name, content in files.items()
    ]
    end = f"0/{START + 200:X}"
    tree: dict[str, object] = {
        "PostgreSQL-Backup-Manifest-Version": 1,
        "Files": listed,
        "WAL-Ranges": [{"Timeline": 1, "Start-LSN": f"0/{START:X}", "End-LSN": end}],
    }
    return sign(json.dumps(tree | changes, indent=0)[:-2])


def sign(body: str) -> bytes:
    raw = f"{body},\n".encode()
    return raw + f'"Manifest-Checksum": "{hashlib.sha256(raw).hexdigest()}"}}\n'.encode()


@pytest.fixture
def small() -> SmallBackup:
    """A backup with one tablespace and one WAL segment of 1 MiB."""
    base = base_files()
    space = {"PG_15_202209061/5/16386": b"rows" * 200}
    listed = base | {f"pg_tblspc/16384/{name}": data for name, data in space.items()}
    archives = {
        "16384.tar": make_tar(space),
        "base.tar": make_tar(base),
        "pg_wal.tar": make_tar({WAL_NAME: wal_segment()}),
    }
    return SmallBackup(archives, make_manifest(listed))
