"""What differs from site to site in a logical recovery."""

from __future__ import annotations

import re
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field, field_validator

from runbook.supervised import MonitProcess


class RecoverySettings(BaseModel):
    """How a logical backup is brought back; the defaults suit a cluster without a site's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    alias: str = Field(
        default="", description="DNS name that applications find the primary by; it must agree."
    )
    expected_errors: tuple[str, ...] = Field(
        default=(r'role ".*" already exists', r'tablespace ".*" already exists'),
        description="Errors of the load that are harmless, as regular expressions; any other "
        "stops it.",
    )
    expected_differences: tuple[str, ...] = Field(
        default=(),
        description="Differences between the loaded databases and the backup that are harmless, "
        "as regular expressions; any other ends the run before a standby is given up.",
    )
    role_script: str = Field(
        default="",
        description="SQL file on the primary that makes the site's own roles and databases; run "
        "in a new site, and once more where a run was killed over it.",
    )
    startup_locks: str = Field(
        default="",
        description="Directory of startup locks on each node, emptied while nothing runs there.",
    )
    repmgr: MonitProcess | None = Field(
        default=None, description="Where monit runs repmgrd: stopped on the primary meanwhile."
    )
    block_port: bool = Field(
        default=True, description="Whether nft keeps clients out meanwhile; needs root on the node."
    )
    block_expires: timedelta = Field(
        default=timedelta(hours=12),
        gt=timedelta(seconds=1),
        description="When the kernel lets clients in again by itself, if nobody else does.",
    )
    space_factor: float = Field(
        default=2.0, ge=1.0, description="Bytes on disk for each byte of the dump, indexes too."
    )
    lanes: int = Field(default=2, ge=1, le=16, description="Connections that rows are loaded over.")

    @field_validator("expected_errors", "expected_differences")
    @classmethod
    def _are_expressions(cls, expressions: tuple[str, ...]) -> tuple[str, ...]:
        for expression in expressions:
            try:
                re.compile(expression)
            except re.error as error:
                raise ValueError(f"{expression!r} is no regular expression: {error}") from error
        return expressions
