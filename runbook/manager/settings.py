"""How the a9s Backup Manager and the a9s API are reached."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field


class BackupManager(BaseModel):
    """One instance in the Backup Manager; the password is manager_password of the cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    url: str = Field(
        description="Such as https://backup-manager.service.dc1.consul:3000.",
        pattern=r"^https?://[^@]+$",
    )
    user: str = Field(default="admin", description="Login; its password is manager_password.")
    instance: str = Field(default="a9s-pg", description="instance_guid of the cluster there.")
    certificate_authority: str = Field(
        default="", description="File on the worker with the CA; empty: the system's own."
    )
    timeout: float = Field(default=30.0, gt=0, le=600, description="Seconds for an answer.")
    patience: float = Field(
        default=60.0, ge=0, description="Seconds of waiting in which reading is tried again."
    )
    every: float = Field(default=5.0, gt=0, le=300, description="Seconds between two looks.")
    settle: float = Field(
        default=60.0, ge=0, description="Seconds until an accepted order must show somewhere."
    )
    backup_within: timedelta = Field(
        default=timedelta(hours=4), description="How long a backup may take."
    )
    restore_within: timedelta = Field(
        default=timedelta(hours=4), description="How long a restore may take, outage included."
    )
    smallest: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of the largest of the seven before that it must reach.",
    )
    log: str = Field(
        default="/var/vcap/sys/log/backup-agent/production.log",
        description="Log of the backup agent on the primary's machine.",
    )
    log_user: str = Field(
        default="", description="Operating system user that may read it; empty: the login."
    )


class ServiceApi(BaseModel):
    """The instance in the a9s API V1; the bearer token is service_api_token of the cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    url: str = Field(
        description="Such as https://a9s-dashboard.example.com/v1/instances/a9s-pg.",
        pattern=r"^https?://[^@]+$",
    )
    certificate_authority: str = Field(
        default="", description="File on the worker with the CA; empty: the system's own."
    )
