"""The settings of a PostgreSQL cluster, as a Prefect block."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import ConfigDict, Field, SecretStr, ValidationError

from blocks._saved import loaded, saved_name, unusable
from blocks._schema import SettingsBlock, described
from runbook.apps import App
from runbook.audit.settings import AuditCopy
from runbook.cluster import Approval, Backups, Cluster, Replication
from runbook.components.settings import ComponentBackups
from runbook.health.check import HttpCheck
from runbook.health.limits import HealthLimits
from runbook.logical.settings import LogicalBackups
from runbook.manager.settings import BackupManager, ServiceApi
from runbook.objectives import Objectives
from runbook.orchestrator.settings import Orchestrator
from runbook.platform.settings import Platform, PlatformExports
from runbook.postgres import Node


class PostgresCluster(SettingsBlock):
    """One PostgreSQL cluster: its servers, its applications, where its backups go."""

    _block_type_name: ClassVar[str] = "PostgreSQL cluster"
    _block_type_slug: ClassVar[str] = "postgres-cluster"
    _description: ClassVar[str] = (
        "A PostgreSQL cluster that runbooks work on. `pg-runbooks apply` writes these from a file."
    )
    model_config = ConfigDict(
        json_schema_extra=described(
            "health_secrets.*",
            "replication_password",
            "encryption_keys.*",
            "manager_password",
            "service_api_token",
        )
    )

    nodes: list[Node] = Field(
        min_length=1, description="One entry per server. Roles are asked of PostgreSQL."
    )
    backups: Backups = Field(description="Where backups go and how they are taken and kept.")
    apps: list[App] = Field(
        default_factory=list, description="Applications that stand still during a restore."
    )
    health: list[HttpCheck] = Field(
        default_factory=list, description="HTTP calls that must be answered as expected."
    )
    health_limits: HealthLimits = Field(
        default_factory=HealthLimits, description="Where a finding is a warning, where critical."
    )
    replication: Replication = Field(
        default_factory=Replication, description="The login that base backups are taken with."
    )
    replication_password: SecretStr = Field(
        default=SecretStr(""), description="Its password; empty where none is needed."
    )
    health_secrets: dict[str, SecretStr] = Field(
        default_factory=dict, description="Secrets that health refers to as {secret:name}."
    )
    objectives: Objectives = Field(
        default_factory=Objectives, description="Recovery time and point that are promised."
    )
    approval: Approval = Field(
        default_factory=Approval, description="Whose approval counts, and how long a run waits."
    )
    audit: AuditCopy | None = Field(
        default=None, description="Where the records of its runs are copied to; empty: nowhere."
    )
    logical: LogicalBackups | None = Field(
        default=None, description="Where its logical backups lie; empty: it has none."
    )
    encryption_keys: dict[str, SecretStr] = Field(
        default_factory=dict, description="Keys of its logical backups by name, old ones too."
    )
    manager: BackupManager | None = Field(
        default=None, description="Its instance in the a9s Backup Manager, if any."
    )
    manager_password: SecretStr = Field(
        default=SecretStr(""), description="The password of manager.user."
    )
    service_api: ServiceApi | None = Field(
        default=None, description="Its instance in the a9s API V1, if any."
    )
    service_api_token: SecretStr = Field(
        default=SecretStr(""), description="The bearer token of the a9s API."
    )
    components: ComponentBackups | None = Field(
        default=None, description="Databases that are dumped one by one; empty: none."
    )
    orchestrator: Orchestrator | None = Field(
        default=None, description="The Orchestrator that its one node is; empty: none."
    )
    exports: PlatformExports | None = Field(
        default=None, description="The platform's client, and where its exports go; empty: none."
    )
    platform: Platform | None = Field(
        default=None, description="What platform-backup backs up with this cluster; empty: none."
    )

    @classmethod
    def named(cls, name: str) -> Self:
        """Load the settings of a cluster; SettingsError names the known ones."""
        return loaded(cls, name, "cluster")

    @classmethod
    def of(cls, cluster: Cluster) -> Self:
        """Make the block for a cluster of an inventory."""
        return cls.model_validate({name: getattr(cluster, name) for name in cls.field_names()})

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """List the settings that block and cluster share: all but the name."""
        return tuple(name for name in Cluster.model_fields if name != "name")

    def cluster(self) -> Cluster:
        """Give the cluster under the name that the block was saved with."""
        name = saved_name(self)
        values = {each: getattr(self, each) for each in self.field_names()}
        try:
            return Cluster.model_validate({"name": name, **values})
        except ValidationError as error:
            raise unusable(type(self), name, "cluster", error) from None
