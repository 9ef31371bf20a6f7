"""Where a finding becomes a warning, and where it becomes critical."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ByteSize, ConfigDict, Field, model_validator

_MB = 1024 * 1024


class Limit(BaseModel):
    """Two bounds of a number that is better when it is small."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    warning: float = Field(ge=0, description="A warning above it.")
    critical: float = Field(ge=0, description="Critical above it.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.warning > self.critical:
            raise ValueError("a warning comes before what is critical")
        return self


class SizeLimit(Limit):
    """Two bounds of a size, such as 64MiB."""

    warning: ByteSize = Field(description="A warning above it.")
    critical: ByteSize = Field(description="Critical above it.")


class HealthLimits(BaseModel):
    """The bounds of health-check; each is exceeded when the number is greater."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    lag: SizeLimit = Field(
        default=SizeLimit(warning=ByteSize(64 * _MB), critical=ByteSize(1024 * _MB)),
        description="WAL that a standby has not yet replayed, in bytes.",
    )
    lag_seconds: Limit = Field(
        default=Limit(warning=60, critical=900),
        description="Age of what a standby replayed last, while it is behind, in seconds.",
    )
    disk_used: Limit = Field(
        default=Limit(warning=85, critical=95),
        description="Percent used of the file systems of data, WAL and tablespaces.",
    )
    wal: Limit = Field(
        default=Limit(warning=25, critical=60),
        description="Size of pg_wal in percent of itself and the room that it could still take.",
    )
    archive_backlog: Limit = Field(
        default=Limit(warning=16, critical=256),
        description="WAL files that are ready and not archived.",
    )
    transaction_seconds: Limit = Field(
        default=Limit(warning=3600, critical=43200),
        description="Age of the oldest open transaction, in seconds.",
    )
    frozen_age: Limit = Field(
        default=Limit(warning=500_000_000, critical=1_500_000_000),
        description="Transactions since the oldest database was frozen; 2.1 billion is the end.",
    )
    backup_hours: Limit | Literal["off"] | None = Field(
        default=None,
        description="Age of the newest backup of each kind, in hours. Empty: objectives.rpo and an "
        "hour, else 36 hours; twice that is critical. off: nobody looks.",
    )
