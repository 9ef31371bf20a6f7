"""Where copies of the audit record go."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class AuditCopy(BaseModel):
    """The audit store of a cluster: every record and the index of runs are copied there."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    store: str = Field(description="Name of the store; its key should not be able to delete.")
    folder: str = Field(
        default="audit", pattern=r"^[^/].*[^/]$|^[^/]$", description="Folder in the store."
    )
    retain_days: int = Field(
        default=0, ge=0, description="S3 Object Lock: nobody may delete for so long; 0: no lock."
    )
    retain_mode: Literal["compliance", "governance"] = Field(
        default="compliance", description="Whether not even the account's owner may delete."
    )
    worker: str = Field(default="", description="Name of this machine there; empty: its host name.")
