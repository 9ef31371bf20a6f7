"""A backup in the catalogue: what its backup.json says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from runbook.units import Lsn

RECORD = "backup.json"
DAMAGED = "damaged.json"
MANIFEST = "backup_manifest"

PREFIX = "backup_"

_ID = re.compile(PREFIX + "[0-9]{14}")


class StoredObject(BaseModel):
    """One file of a backup, as it lies in the store."""

    model_config = ConfigDict(frozen=True)
    name: str
    size: int = Field(ge=0, description="Bytes in the store.")
    sha256: str = Field(pattern="[0-9a-f]{64}")


class BackupTablespace(BaseModel):
    """A tablespace of the backup and the directory it had on the source."""

    model_config = ConfigDict(frozen=True)
    oid: int
    location: str


class Backup(BaseModel):
    """A whole backup. It is written last: without it, nothing counts as a backup."""

    model_config = ConfigDict(frozen=True)
    layout: Literal[1] = 1
    id: str = Field(pattern=_ID.pattern)
    cluster: str
    node: str = Field(description="The node it was taken from.")
    made_by: Literal["fast", "page", "adopted"]
    label: str = ""
    system_identifier: str
    server_version: str = Field(description="Major version, as in PG_VERSION.")
    client_version: str = Field(default="", description="What took it.")
    timeline: int
    start_lsn: Lsn
    stop_lsn: Lsn
    tablespaces: tuple[BackupTablespace, ...] = ()
    objects: tuple[StoredObject, ...]
    data_size: int = Field(description="Bytes of all files of the backup, not compressed.")
    compression: str
    cipher: str | None = None
    kdf: str | None = None
    self_contained: bool = True
    manifest_checksum: str = Field(description="Manifest-Checksum of backup_manifest.")
    began: datetime
    finished: datetime
    verified: datetime = Field(description="When every byte was last held against the manifest.")
    seconds: float
    run_id: str

    @property
    def stored_size(self) -> int:
        """Give the bytes it takes in the store."""
        return sum(item.size for item in self.objects)

    def unlike(self, sizes: Mapping[str, int]) -> list[str]:
        """Name what of it is missing, or has another size, among files with these sizes."""
        return [
            f"{item.name} has {sizes[item.name]} bytes instead of {item.size}"
            if item.name in sizes
            else f"{item.name} is missing"
            for item in self.objects
            if sizes.get(item.name) != item.size
        ]

    @property
    def archives(self) -> tuple[StoredObject, ...]:
        """Give the tar archives: base first, then tablespaces and WAL."""
        found = [item for item in self.objects if ".tar" in item.name]
        return tuple(sorted(found, key=lambda item: (not item.name.startswith("base."), item.name)))


def backup_id(at: datetime) -> str:
    """Give the id of a backup begun at a time, as the page names its directory."""
    return f"{PREFIX}{at:%Y%m%d%H%M%S}"


def is_backup_id(text: str) -> bool:
    """Tell whether a name is that of a backup's directory."""
    return _ID.fullmatch(text) is not None
