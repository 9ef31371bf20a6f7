"""A cluster: the servers that replicate one database system, and what hangs on it."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from runbook.apps import App
from runbook.audit.settings import AuditCopy
from runbook.components.settings import ComponentBackups
from runbook.errors import CheckFailed, Unreachable
from runbook.health.check import HttpCheck
from runbook.health.limits import HealthLimits
from runbook.hosts import Host
from runbook.logical.settings import LogicalBackups
from runbook.manager.settings import BackupManager, ServiceApi
from runbook.objectives import Objectives
from runbook.orchestrator.settings import Orchestrator
from runbook.platform.settings import Platform, PlatformExports
from runbook.postgres import Node


class Replication(BaseModel):
    """The login that base backups are taken with.

    The page: user postgres over loopback for a single instance, user repmgr over the host's
    address in a repmgr cluster.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    user: str = Field(default="postgres", description="Role that replicates.")
    method: Literal["scram-sha-256", "trust"] = Field(
        default="scram-sha-256", description="What a missing pg_hba.conf rule is written with."
    )
    grant: bool = Field(default=True, description="Whether a missing rule may be added at all.")


class Backups(BaseModel):
    """Where backups go and how they are taken and kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    store: str = Field(description="Name of the store.")
    folder: str = Field(default="", description="Folder in the store; empty: the cluster's name.")
    format: Literal["fast", "page"] = Field(
        default="fast", description="page: pg_basebackup -F tar -z -X fetch on the node."
    )
    compression: Literal["auto", "zstd", "lz4", "gzip", "none"] = Field(
        default="auto",
        description="By the server where its build can, else by the worker; "
        "auto: zstd, or lz4 where the server has that alone.",
    )
    workers: int = Field(default=2, ge=0, le=64, description="Server-side compression workers.")
    source: Literal["primary", "standby"] = Field(
        default="primary", description="Which server base backups are taken from."
    )
    fast_checkpoint: bool = Field(default=True, description="False: wait for a spread checkpoint.")
    keep: int = Field(default=7, ge=1, description="Newest verified backups that always remain.")
    keep_days: int = Field(default=0, ge=0, description="Also keep what is younger; 0: no rule.")
    max_rate: str = Field(default="", description="Bandwidth limit, as pg_basebackup --max-rate.")


class Approval(BaseModel):
    """Whose approval counts, and how long a run waits for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    policy: str = Field(
        default="",
        description="Policy that names and proves who may approve; empty: any typed name counts.",
    )
    without: tuple[str, ...] = Field(
        default=(), description="Runbooks that need no approval although they ask for one."
    )
    deadline: timedelta = Field(default=timedelta(hours=24), description="Then it is cancelled.")


class Cluster(BaseModel):
    """One PostgreSQL cluster as the inventory describes it. Roles are asked, never stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(description="Name of the cluster.")
    nodes: tuple[Node, ...] = Field(
        min_length=1, description="One entry per server. Roles are asked of PostgreSQL."
    )
    apps: tuple[App, ...] = Field(
        default=(), description="Applications that stand still during a restore."
    )
    health: tuple[HttpCheck, ...] = Field(
        default=(), description="HTTP calls that must be answered as expected."
    )
    health_limits: HealthLimits = Field(
        default=HealthLimits(), description="Where a finding is a warning, where critical."
    )
    health_secrets: dict[str, SecretStr] = Field(
        default_factory=dict, description="Secrets that health refers to as {secret:name}."
    )
    replication: Replication = Field(
        default=Replication(), description="The login that base backups are taken with."
    )
    replication_password: SecretStr = Field(
        default=SecretStr(""), description="Its password; empty where none is needed."
    )
    backups: Backups = Field(description="Where backups go and how they are taken and kept.")
    objectives: Objectives = Field(
        default=Objectives(), description="Recovery time and point that are promised."
    )
    approval: Approval = Field(
        default=Approval(), description="Whose approval counts, and how long a run waits."
    )
    audit: AuditCopy | None = Field(
        default=None, description="Where the records of its runs are copied to; empty: nowhere."
    )
    logical: LogicalBackups | None = Field(
        default=None, description="Where its logical backups lie; empty: it has none."
    )
    encryption_keys: dict[str, SecretStr] = Field(
        default_factory=dict, description="Keys of logical backups by name; old ones stay to read."
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

    @model_validator(mode="after")
    def _distinct(self) -> Cluster:
        names = [node.name for node in self.nodes]
        if len(set(names)) != len(names):
            raise ValueError(f"two nodes of cluster {self.name} have the same name: {names}")
        return self

    @model_validator(mode="after")
    def _known_secrets(self) -> Cluster:
        unknown = {name for check in self.health for name in check.secrets} - set(
            self.health_secrets
        )
        if unknown:
            raise ValueError(f"health refers to {sorted(unknown)}: not in health_secrets")
        return self

    @model_validator(mode="after")
    def _known_key(self) -> Cluster:
        if self.logical and self.logical.key not in self.encryption_keys:
            raise ValueError(f"logical.key names {self.logical.key!r}: not in encryption_keys")
        return self

    def __str__(self) -> str:
        return self.name

    def has(self, setting: str) -> bool:
        """Tell whether it has a setting, or one inside it (`exports.jobs`)."""
        found: object = self
        for name in setting.split("."):
            found = getattr(found, name, None)
        return bool(found)

    @property
    def folder(self) -> str:
        """Give the folder of the cluster's backups in their store."""
        folder = self.backups.folder or self.name
        return "" if folder == "." else folder.strip("/")

    @property
    def single(self) -> bool:
        """Tell whether it is one server alone."""
        return len(self.nodes) == 1

    @property
    def replicated(self) -> bool:
        """Tell whether it has standbys."""
        return not self.single

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Give every machine that a database server runs on, once."""
        return tuple(dict.fromkeys(node.host for node in self.nodes))

    @property
    def former(self) -> tuple[Node, ...]:
        """Give the servers that the cluster leaves: an Orchestrator's old one."""
        old = self.orchestrator.previous if self.orchestrator else None
        return (old,) if old else ()

    def primary(self) -> Node:
        """Find the one node that accepts writes; it is asked, and two are a split brain."""
        writable = [node for node in self.nodes if node.accepts_writes()]
        if len(writable) > 1:
            names = ", ".join(node.name for node in writable)
            raise CheckFailed(
                f"cluster {self} has {len(writable)} writable nodes: {names}",
                hint="Stop everything that writes, and find out which one is right.",
            )
        if not writable:
            raise Unreachable(
                f"no node of cluster {self} accepts writes",
                detail=", ".join(f"{node} at {node.host.way}" for node in self.nodes),
                hint="Is PostgreSQL running there? See its log on the host.",
            )
        return writable[0].located()

    def standby(self) -> Node:
        """Find a node that answers and is in recovery."""
        for node in self.nodes:
            if node.accepts_connections() and not node.accepts_writes():
                return node.located()
        raise Unreachable(
            f"no standby of cluster {self} answers",
            hint="Set backups.source to primary, or start the standby.",
        )

    def node(self, name: str) -> Node:
        """Give a node by name."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise CheckFailed(
            f"cluster {self} has no node {name!r}",
            detail=f"it has {', '.join(node.name for node in self.nodes)}",
        )

    def only_node(self) -> Node:
        """Give the node of a single instance."""
        if not self.single:
            raise CheckFailed(
                f"cluster {self} has {len(self.nodes)} nodes",
                detail="this runbook is for a single instance",
                hint="Use cluster-restore for a repmgr cluster.",
            )
        return self.nodes[0]
