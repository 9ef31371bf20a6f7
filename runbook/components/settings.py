"""Which databases of a cluster are dumped one by one, and where the dumps are kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

# A name is a folder, too, and pg_dump would take one with "=" for a connection string.
DatabaseName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$")]

_TEMPLATES = ("template0", "template1")


class ComponentBackups(BaseModel):
    """The component databases of a server group, and the places of their dumps."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    databases: tuple[DatabaseName, ...] = Field(
        min_length=1, description="Such as auditlog, component and zabbix."
    )
    directory: str = Field(
        default="/var/lib/postgresql/backups",
        pattern="^/.+",
        description="Folder on the database servers. The page: on every server, or with a store "
        "only on the master. {node} stands for the server's name, where servers share a disk.",
    )
    store: str = Field(default="", description="Name of the store; empty: none.")
    at_once: int = Field(
        default=2, ge=1, le=32, description="Databases dumped side by side on each server."
    )
    keep: int = Field(
        default=7,
        ge=1,
        description="Newest verified dumps of each database that remain, of nights and of deploys.",
    )
    compression: int = Field(
        default=1,
        ge=1,
        le=9,
        description="Level of gzip in the archives; pg_dump's own is 6, which takes far more "
        "time, for archives that are a little smaller.",
    )
    lock_wait_seconds: int = Field(
        default=60, ge=1, description="Patience of pg_dump with a table that somebody has locked."
    )

    @model_validator(mode="after")
    def _distinct(self) -> ComponentBackups:
        if len(set(self.databases)) != len(self.databases):
            raise ValueError("databases names one of them twice")
        templates = sorted(set(self.databases) & set(_TEMPLATES))
        if templates:
            raise ValueError(f"{', '.join(templates)} cannot be a component's database")
        return self
