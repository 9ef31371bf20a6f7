"""Where logical backups of a cluster lie, and what they are written with."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from runbook.logical.recovery.settings import RecoverySettings


class LogicalBackups(BaseModel):
    """The place of a cluster's logical backups, and their format."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    store: str = Field(description="Name of the store.")
    folder: str = Field(default="", description="Folder in the store; the page: none.")
    guid: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
        description="Backup GUID: what the names of all backups of this cluster begin with.",
    )
    key: str = Field(
        default="current",
        description="Which of encryption_keys new backups are written with; all are tried to read.",
    )
    format: Literal["openssl", "age"] = Field(
        default="openssl",
        description="openssl: as the page's commands read it (AES-256-CBC, key by MD5, nothing "
        "tells of a change); age: authenticated, read by hand with age(1).",
    )
    part_bytes: int = Field(
        default=1 << 30, ge=1 << 16, multiple_of=16, description="Size of a part; the page: 1 GB."
    )
    recovery: RecoverySettings = Field(
        default=RecoverySettings(), description="How a logical backup is brought back."
    )

    @property
    def prefix(self) -> str:
        """Give what the keys in the store begin with, before the guid."""
        folder = self.folder.strip("/")
        return f"{folder}/" if folder else ""
