"""PostgreSQL's backup_manifest, versions 1 (PostgreSQL 13 to 16) and 2 (17 and newer).

Ref.: https://www.postgresql.org/docs/current/backup-manifest-format.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from runbook.errors import Damaged, Refused
from runbook.stream.checksums import ALGORITHMS
from runbook.stream.paths import inside
from runbook.stream.segments import WalRange
from runbook.units import Lsn

NAME = "backup_manifest"
VERSIONS = (1, 2)
_CHECKSUM_LINE = b'\n"Manifest-Checksum"'


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """What the server says about one file: bytes, and checksum in hexadecimal."""

    size: int
    algorithm: str
    checksum: str


@dataclass(frozen=True)
class Manifest:
    """The server's own list of what a backup holds."""

    version: int
    files: Mapping[str, ManifestFile]
    wal_ranges: tuple[WalRange, ...]
    system_identifier: int | None
    checksum: str

    @property
    def size(self) -> int:
        """Sum of all files' bytes: what a restore needs on disk, WAL of -X stream aside."""
        return sum(file.size for file in self.files.values())

    @classmethod
    def parse(cls, raw: bytes) -> Manifest:
        """Read a manifest and check its own checksum.

        Raises `Damaged` for one that is cut or changed, `Refused` for one with hostile paths
        or of a version that is not known.
        """
        checksum = _own_checksum(raw)
        try:
            return _read(cast("dict[str, object]", json.loads(raw)), checksum)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(f"{type(error).__name__}: {error}") from error


def _damaged(detail: str) -> Damaged:
    return Damaged(
        f"{NAME} is damaged",
        detail=detail,
        hint="A backup without its whole manifest cannot be verified. Use another backup.",
    )


def _own_checksum(raw: bytes) -> str:
    at = raw.rfind(_CHECKSUM_LINE) + 1
    if not at:
        raise _damaged('It has no "Manifest-Checksum" line, so it was cut short.')
    line = raw[at:].decode("utf-8", "replace").strip()
    found = hashlib.sha256(raw[:at]).hexdigest()
    if line != f'"Manifest-Checksum": "{found}"}}':
        raise _damaged(f"Its SHA-256 is {found}; its last line reads: {line[:120]}")
    return found


def _read(tree: dict[str, object], checksum: str) -> Manifest:
    version = tree["PostgreSQL-Backup-Manifest-Version"]
    if version not in VERSIONS:
        raise Refused(
            f"{NAME} is of version {version}, which is not known",
            hint=f"Known versions: {', '.join(map(str, VERSIONS))}. Use a newer pg-runbooks.",
        )
    files: dict[str, ManifestFile] = {}
    for entry in cast("list[dict[str, object]]", tree["Files"]):
        path, file = _file(entry)
        if path in files:
            raise _damaged(f'"{path}" is listed twice.')
        files[path] = file
    ranges = tuple(_range(entry) for entry in cast("list[dict[str, object]]", tree["WAL-Ranges"]))
    identifier = tree.get("System-Identifier")
    return Manifest(
        version=version,
        files=files,
        wal_ranges=ranges,
        system_identifier=None if identifier is None else int(str(identifier)),
        checksum=checksum,
    )


def _file(entry: dict[str, object]) -> tuple[str, ManifestFile]:
    if ("Path" in entry) == ("Encoded-Path" in entry):
        raise ValueError(f"a file needs one of Path and Encoded-Path: {entry!r:.200}")
    path = str(entry["Path"]) if "Path" in entry else _decoded(str(entry["Encoded-Path"]))
    if inside(path, where=NAME) != path:
        raise ValueError(f"path is not in its shortest form: {path!r}")
    size = entry["Size"]
    if type(size) is not int or size < 0:
        raise ValueError(f"{path!r} has the size {size!r}")
    algorithm = str(entry.get("Checksum-Algorithm", "NONE")).upper()
    checksum = str(entry.get("Checksum", "")).lower()
    if algorithm not in ALGORITHMS:
        raise ValueError(f"{path!r} has a checksum of unknown kind {algorithm!r}")
    if len(bytes.fromhex(checksum)) != ALGORITHMS[algorithm]:
        raise ValueError(f"{path!r} has a {algorithm} checksum of the wrong length")
    return path, ManifestFile(size, algorithm, checksum)


def _decoded(text: str) -> str:
    return bytes.fromhex(text).decode("utf-8", "surrogateescape")


def _range(entry: dict[str, object]) -> WalRange:
    start, end = Lsn(str(entry["Start-LSN"])).position, Lsn(str(entry["End-LSN"])).position
    timeline = entry["Timeline"]
    if type(timeline) is not int or timeline < 1 or end < start:
        raise ValueError(f"impossible WAL range {entry!r}")
    return WalRange(timeline, start, end)
