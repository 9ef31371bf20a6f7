"""A backup of an Orchestrator: its names, and the record that is written last."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from runbook.components.properties import DatabaseProperties

Way = Literal["automated", "manual"]

RECORD, BEGUN = "orchestrator.json", "begun"
"""The record of a backup, and the mark of the run that began it."""

ARCHIVE = re.compile(r"orchestrator_(backup|manual)_[0-9A-Za-z][0-9A-Za-z_.:+-]*\.tgz")
"""An archive: of `orchestrator-cli backup`, whatever its timestamp looks like, or ours."""

_NAME = re.compile(r"(?P<id>[0-9]{14})/(?P<file>[^/]+)")


class Member(BaseModel):
    """A file of an archive; nothing of its content, for that may be secret."""

    model_config = ConfigDict(frozen=True)
    name: str
    size: int
    sha256: str


class OrchestratorBackup(BaseModel):
    """A whole, verified backup. Its record is written last: without it, it is no backup."""

    model_config = ConfigDict(frozen=True)
    layout: Literal[1] = 1
    id: str = Field(pattern="^[0-9]{14}$", description="When its run began to make it.")
    way: Way
    cluster: str
    node: str
    archive: str = Field(description="Name of the file, as orchestrator-cli gave it.")
    size: int = Field(gt=0, description="Bytes of the archive.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    members: tuple[Member, ...]
    dump: str = Field(description="The member that is the dump of the database.")
    configuration: str = Field(description="The member that is the cluster configuration.")
    tables: int = Field(description="Tables that the dump makes.")
    release: str = Field(description="Release of the platform; empty where the archive has none.")
    database: str
    database_size: int
    properties: DatabaseProperties
    server_version: str
    server_major: int
    system_identifier: str
    began: datetime
    finished: datetime
    verified: datetime = Field(description="When the stored archive was read back.")
    seconds: float
    run_id: str


def key(stamp: str, name: str) -> str:
    """Give the name of a backup's file, with its folder."""
    return f"{stamp}/{name}"


def parsed(name: str) -> tuple[str, str] | None:
    """Give id and file of a backup's file; None where it is none of ours."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    known = found["file"] in {RECORD, BEGUN} or ARCHIVE.fullmatch(found["file"])
    return (found["id"], found["file"]) if known else None
