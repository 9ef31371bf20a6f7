"""Settings by name: from the inventory file of this process, or from Prefect's blocks."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from runbook.approvers.policy import ApprovalPolicy
from runbook.cluster import Cluster
from runbook.errors import RunbookError
from runbook.inventory import Inventory, StoreSettings, read_inventory

_file: ContextVar[Path | None] = ContextVar("inventory_file", default=None)


def use_inventory(path: Path) -> None:
    """Take all settings of this process from a file; no Prefect server is asked."""
    _file.set(path)


def load_cluster(name: str) -> Cluster:
    """Give the settings of a cluster; SettingsError when there are none of that name."""
    path = _file.get()
    if path is not None:
        return _inventory(path).cluster(name)
    from blocks.cluster import PostgresCluster

    return PostgresCluster.named(name).cluster()


def usable_clusters(
    names: Iterable[str],
) -> tuple[tuple[Cluster, ...], dict[str, RunbookError]]:
    """Give the settings of clusters, and why not those of the clusters that have no usable ones."""
    found, unusable = [], dict[str, RunbookError]()
    for name in names:
        try:
            found.append(load_cluster(name))
        except RunbookError as error:
            unusable[name] = error
    return tuple(found), unusable


def load_store(name: str) -> StoreSettings:
    """Give the settings of a store; SettingsError when there are none of that name."""
    path = _file.get()
    if path is not None:
        return _inventory(path).store(name)
    from blocks.store import BackupStore

    return BackupStore.named(name).settings()


def load_policy(name: str) -> ApprovalPolicy:
    """Give an approval policy; SettingsError when there is none of that name."""
    path = _file.get()
    if path is not None:
        return _inventory(path).policy(name)
    from blocks.policy import ApprovalPolicyBlock

    return ApprovalPolicyBlock.named(name).policy()


@lru_cache(maxsize=4)
def _inventory(path: Path) -> Inventory:
    return read_inventory(path)
