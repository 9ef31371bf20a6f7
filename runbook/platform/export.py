"""An export: what was exported, when and by which run, and every file of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from runbook.platform.settings import Name

ArchiveKind = Literal["package", "job"]
Kind = Literal["policy", "package", "job", "all", "installation"]


class ExportedFile(BaseModel):
    """One file of an export."""

    model_config = ConfigDict(frozen=True)
    file: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
    name: Name = Field(description="The document, package or job.")
    namespace: str = Field(default="", description="The one it was exported from, if any.")
    size: int = Field(ge=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    content: str = Field(default="", description="The same for the same content in any namespace.")
    verified: datetime | None = Field(
        default=None, description="When its last byte had been read back; records once lacked it."
    )


class Export(BaseModel):
    """A whole, verified export. Its record is written last: without it, it is no export."""

    model_config = ConfigDict(frozen=True)
    layout: Literal[1] = 1
    id: str = Field(pattern="^[0-9]{14}$", description="When it was entered, in UTC.")
    kind: Kind
    cluster: str
    files: tuple[ExportedFile, ...] = Field(min_length=1)
    finished: datetime
    run_id: str
