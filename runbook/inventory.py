"""Inventory files: clusters and stores in YAML, validated as a whole, secrets by reference."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from runbook.approvers.policy import ApprovalPolicy
from runbook.cluster import Cluster
from runbook.credhub import credential
from runbook.errors import SettingsError
from runbook.hosts import Host, Ssh
from runbook.misfits import misfits
from runbook.stores import AnyStore, NodeFolderStore, OpenStore, StoreSecret

_SHAPE = "It has stores:, policies: and clusters:."
_SECRETS = ("secret", "replication_password", "manager_password", "service_api_token")
_NAMED_SECRETS = ("health_secrets", "totp", "encryption_keys")
_STAND_IN = "A" * 32
"""Stands for every secret while all else is checked; also base32, as one-time codes need it."""
_Reader = Callable[[object, str], str]
"""Gives the secret of a reference; its second word is the setting."""


class StoreSettings(BaseModel):
    """A store and the credentials for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(description="Name of the store.")
    location: AnyStore = Field(description="Folder on a node or worker, S3, or Azure Blob.")
    key_id: str = Field(default="", description="Access key id or storage account.")
    secret: SecretStr = Field(default=SecretStr(""), description="Secret access key.")

    def __str__(self) -> str:
        return str(self.location)

    def open(self, host: Host | None = None) -> OpenStore:
        """Connect; `host` is the machine that a folder on a node lies on."""
        return self.location.open(StoreSecret(key_id=self.key_id, secret=self.secret), host)


class Inventory(BaseModel):
    """Everything a file names."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    stores: tuple[StoreSettings, ...] = Field(default=(), description="Stores by name.")
    policies: tuple[ApprovalPolicy, ...] = Field(
        default=(), description="Approval policies by name."
    )
    clusters: tuple[Cluster, ...] = Field(default=(), description="Clusters by name.")

    def cluster(self, name: str) -> Cluster:
        """Give a cluster by name."""
        for cluster in self.clusters:
            if cluster.name == name:
                return cluster
        raise _unknown("cluster", name, [cluster.name for cluster in self.clusters])

    def store(self, name: str) -> StoreSettings:
        """Give a store by name."""
        for store in self.stores:
            if store.name == name:
                return store
        raise _unknown("store", name, [store.name for store in self.stores])

    def policy(self, name: str) -> ApprovalPolicy:
        """Give an approval policy by name."""
        for policy in self.policies:
            if policy.name == name:
                return policy
        raise _unknown("policy", name, [policy.name for policy in self.policies])


def read_inventory(path: Path) -> Inventory:
    """Read and check a whole file; SettingsError names every place that cannot be used.

    `stores:`, `policies:` and `clusters:` are mappings by name. A secret is written as
    `{env: NAME}`, `{file: PATH}` or `{credhub: NAME}` and never as text; secrets are read last.
    """
    try:
        tree = YAML(typ="safe").load(path.read_text())
    except (OSError, MarkedYAMLError) as error:
        raise SettingsError(f"cannot read the inventory {path}", detail=str(error)) from error
    if not isinstance(tree, dict):
        raise SettingsError(f"{path} is not an inventory", hint=_SHAPE)
    shaped = {key: _listed(tree.get(key), key, path) for key in Inventory.model_fields}
    extra = sorted(set(tree) - set(shaped))
    if extra:
        raise SettingsError(f"{path}: unknown keys {extra}", hint=_SHAPE)
    inventory = _validated(_with_secrets(shaped, lambda *_: _STAND_IN), path)
    _check_references(inventory, path)
    _check_platforms(inventory, path)
    return _validated(_with_all_secrets(shaped), path)


def _validated(shaped: object, path: Path) -> Inventory:
    try:
        return Inventory.model_validate(shaped)
    except ValidationError as error:
        raise SettingsError(
            f"{path} cannot be used",
            detail="\n".join(misfits(error, Inventory, shaped)),
            hint="Every setting, its choices and its default: deployments/settings.md.",
        ) from error


def _listed(named: object, key: str, path: Path) -> list[object]:
    if named is None:
        return []
    if not isinstance(named, dict):
        raise SettingsError(f"{path}: {key} must be a mapping from name to settings")
    for name, settings in named.items():
        if not isinstance(settings, dict):
            raise SettingsError(f"{path}: {key}.{name} must be a mapping")
    return [{"name": name, **settings} for name, settings in named.items()]


def _with_all_secrets(shaped: Mapping[str, list[object]]) -> dict[str, list[object]]:
    """Open every reference; the error names whose the secret is, and the other missing ones."""
    opened: dict[str, list[object]] = {}
    refused: list[SettingsError] = []
    whose = ""

    def read(reference: object, setting: str) -> str:
        try:
            return _secret(reference, setting)
        except SettingsError as error:
            error.message = f"{whose}: {error.message}"
            refused.append(error)
            return _STAND_IN

    for key, items in shaped.items():
        opened[key] = []
        for item in items:
            whose = f"{key}.{item['name']}" if isinstance(item, dict) else key
            opened[key].append(_with_secrets(item, read))
    if refused:
        first, *others = refused
        told = [first.detail, *(f"also {error.message}" for error in others)]
        raise SettingsError(first.message, detail="\n".join(filter(None, told)), hint=first.hint)
    return opened


def _with_secrets(value: object, read: _Reader) -> object:
    """Replace references to secrets by what is read."""
    if isinstance(value, list):
        return [_with_secrets(item, read) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _opened(key, item, read) for key, item in value.items()}


def _opened(key: str, value: object, read: _Reader) -> object:
    if key in _SECRETS:
        return read(value, key)
    if key in _NAMED_SECRETS and isinstance(value, dict):
        return {name: read(item, f"{key}.{name}") for name, item in value.items()}
    return _with_secrets(value, read)


def _secret(reference: object, key: str) -> str:
    if isinstance(reference, Mapping) and set(reference) == {"env"}:
        value = os.environ.get(str(reference["env"]))
        if value is None:
            raise SettingsError(
                f"{key}: the environment has no {reference['env']}",
                hint="Set it where the inventory is read; it is never written to a file.",
            )
        return value
    if isinstance(reference, Mapping) and set(reference) == {"file"}:
        path = Path(str(reference["file"])).expanduser()
        try:
            return path.read_text().strip()
        except OSError as error:
            raise SettingsError(f"{key}: cannot read {path}", detail=str(error)) from error
    if isinstance(reference, Mapping) and set(reference) == {"credhub"}:
        return credential(str(reference["credhub"]))
    raise SettingsError(
        f"{key} must be a reference, not text",
        hint="Write {env: NAME}, {file: PATH} or {credhub: NAME}.",
    )


def _check_references(inventory: Inventory, path: Path) -> None:
    known = {store.name: store.location for store in inventory.stores}
    for cluster in inventory.clusters:
        if cluster.approval.policy:
            inventory.policy(cluster.approval.policy)
        others = (
            *(cluster.backups, cluster.logical, cluster.components),
            *(cluster.orchestrator, cluster.exports),
        )
        for name in [each.store for each in others if each and each.store]:
            if name not in known:
                raise _unknown_store(path, cluster, name, known)
        copy = cluster.audit
        if copy and isinstance(known.get(copy.store), NodeFolderStore | None):
            raise SettingsError(
                f"{path}: cluster {cluster} cannot copy its audit record to {copy.store!r}",
                hint="Name a store of this file that does not lie on a node.",
            )
    for one, other in combinations(inventory.clusters, 2):
        if one.folder == other.folder and _in_one_place(one, other, known):
            raise SettingsError(
                f"{path}: clusters {one} and {other} keep backups in the same folder",
                detail=f"store {one.backups.store}, folder {one.folder or '.'}",
                hint="Give each its own backups.folder (default: the cluster's name), and move its "
                "backup_... directories there (backup.json names the cluster). Where that "
                "must wait: take the other cluster out of the file for now.",
            )


def _in_one_place(one: Cluster, other: Cluster, known: Mapping[str, AnyStore]) -> bool:
    """Tell whether equal folders of two clusters are one: a node's are if a machine is shared."""
    first, second = known[one.backups.store], known[other.backups.store]
    if not isinstance(first, NodeFolderStore) or not isinstance(second, NodeFolderStore):
        return first == second
    machines = [{_machine(node.host) for node in each.nodes} for each in (one, other)]
    return str(first) == str(second) and not machines[0].isdisjoint(machines[1])


def _machine(host: Host) -> object:
    """Give what two hosts have in common that are one machine, whatever the login."""
    way = host.way
    return (way.address, way.port, way.jump) if isinstance(way, Ssh) else way


def _check_platforms(inventory: Inventory, path: Path) -> None:
    """Insist that a platform names clusters of the file, and no cluster is in two."""
    heads: dict[str, str] = {}
    for cluster in inventory.clusters:
        others = cluster.platform.clusters if cluster.platform else ()
        for name in {cluster.name, *others} if cluster.platform else ():
            inventory.cluster(name)
            if name in heads:
                raise SettingsError(
                    f"{path}: cluster {name} is in two platforms",
                    detail=f"those of {heads[name]} and {cluster}",
                    hint="Every night would dump it twice. Take it out of one platform.clusters.",
                )
            heads[name] = cluster.name


def _unknown_store(
    path: Path, cluster: Cluster, name: str, known: Mapping[str, AnyStore]
) -> SettingsError:
    return SettingsError(
        f"{path}: cluster {cluster} names the unknown store {name!r}",
        detail=f"known stores: {', '.join(sorted(known)) or 'none'}",
    )


def _unknown(kind: str, name: str, known: list[str]) -> SettingsError:
    return SettingsError(
        f"there is no {kind} {name!r}", detail=f"known: {', '.join(sorted(known)) or 'none'}"
    )
