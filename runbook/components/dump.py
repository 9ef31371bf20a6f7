"""A dump of one database: its names, and the record that is written last."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from runbook.components.properties import DatabaseProperties
from runbook.components.settings import DatabaseName

Occasion = Literal["daily", "deploy"]

DUMP, RECORD, BEGUN, HELD = "dump", "json", "begun", "held"
"""The endings of a dump's files: itself, its record, the marks of runs that began or hold it."""

_NAME = re.compile(r"(?P<database>[^/]+)/(?P=database)-(?P<stamp>[0-9]{14})\.(?P<kind>[a-z]+)")


class DatabaseDump(BaseModel):
    """A whole, verified dump. Its record is written last: without it, it is no dump."""

    model_config = ConfigDict(frozen=True)
    layout: Literal[1] = 1
    id: str = Field(pattern="^[0-9]{14}$", description="When its run began; one for all databases.")
    database: DatabaseName
    cluster: str
    node: str = Field(description="The server it was taken from.")
    role: Literal["primary", "standby"]
    occasion: Occasion
    size: int = Field(ge=0, description="Bytes of the archive.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    database_size: int = Field(description="Bytes of the database on its server.")
    server_version: str
    server_major: int
    client_version: str = Field(description="What pg_dump says of itself.")
    system_identifier: str
    properties: DatabaseProperties
    warnings: tuple[str, ...] = Field(default=(), description="What pg_dump said besides.")
    as_of: datetime | None = Field(
        default=None,
        description="By the primary's clock: its time when the dump began, or that of the last "
        "transaction that the standby had replayed. What was written later is not in the dump.",
    )
    began: datetime
    finished: datetime
    verified: datetime = Field(description="When the whole archive was read back.")
    seconds: float
    run_id: str

    @property
    def name(self) -> str:
        """Give the name of its files, without their endings."""
        return f"{self.database}-{self.id}"


def key(database: str, stamp: str, kind: str) -> str:
    """Give the name of a dump's file, with its folder."""
    return f"{database}/{database}-{stamp}.{kind}"


def parsed(name: str) -> tuple[str, str, str] | None:
    """Give database, stamp and ending of a dump's file; None where it is none of ours."""
    found = _NAME.fullmatch(name)
    return (found["database"], found["stamp"], found["kind"]) if found else None
