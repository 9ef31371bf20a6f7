"""An Orchestrator: its program, its database, and the place of its backups."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from runbook.orchestrator.former import FormerOrchestrator


class Orchestrator(BaseModel):
    """The Orchestrator that runs on the one node of a cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    store: str = Field(min_length=1, description="Name of the store; not one on a node.")
    program: str = Field(
        default="orchestrator-cli", min_length=1, description="The Orchestrator's command."
    )
    user: str = Field(
        default="orchestrator", min_length=1, description="Operating system user of the program."
    )
    config: str = Field(
        default="/home/orchestrator/cluster.conf",
        pattern="^/.+",
        description="The cluster configuration file on the Orchestrator.",
    )
    directory: str = Field(
        default="/home/orchestrator/pg-runbooks",
        pattern="^/.+",
        description="Where an archive lies until it is stored. Not /tmp: a reboot empties it.",
    )
    database: str = Field(
        default="orchestrator",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$",
        description="The Orchestrator's database.",
    )
    database_user: str = Field(
        default="orchestrator", min_length=1, description="Role that owns it."
    )
    archive_database: str = Field(
        default="orchestrator_archive",
        description="The other database that psql -l must list after a restore; empty: none.",
    )
    keep: int = Field(default=7, ge=1, description="Newest verified backups that remain.")
    previous: FormerOrchestrator | None = Field(
        default=None, description="The Orchestrator that this one replaces; a restore needs it."
    )
    limit_seconds: int = Field(
        default=3600, ge=1, description="Patience with orchestrator-cli, or pg_dump."
    )
