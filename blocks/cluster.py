"""The settings of a PostgreSQL cluster, as a Prefect block."""

from __future__ import annotations

from typing import Any, ClassVar, Self

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


def _meant(name: str, **how: Any) -> Any:
    """Give a field with the meaning that the setting of that name has in an inventory."""
    return Field(description=Cluster.model_fields[name].description, **how)


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

    nodes: list[Node] = _meant("nodes", min_length=1)
    backups: Backups = _meant("backups")
    apps: list[App] = _meant("apps", default_factory=list)
    health: list[HttpCheck] = _meant("health", default_factory=list)
    health_limits: HealthLimits = _meant("health_limits", default_factory=HealthLimits)
    replication: Replication = _meant("replication", default_factory=Replication)
    replication_password: SecretStr = _meant("replication_password", default=SecretStr(""))
    health_secrets: dict[str, SecretStr] = _meant("health_secrets", default_factory=dict)
    objectives: Objectives = _meant("objectives", default_factory=Objectives)
    approval: Approval = _meant("approval", default_factory=Approval)
    audit: AuditCopy | None = _meant("audit", default=None)
    logical: LogicalBackups | None = _meant("logical", default=None)
    encryption_keys: dict[str, SecretStr] = _meant("encryption_keys", default_factory=dict)
    manager: BackupManager | None = _meant("manager", default=None)
    manager_password: SecretStr = _meant("manager_password", default=SecretStr(""))
    service_api: ServiceApi | None = _meant("service_api", default=None)
    service_api_token: SecretStr = _meant("service_api_token", default=SecretStr(""))
    components: ComponentBackups | None = _meant("components", default=None)
    orchestrator: Orchestrator | None = _meant("orchestrator", default=None)
    exports: PlatformExports | None = _meant("exports", default=None)
    platform: Platform | None = _meant("platform", default=None)

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
