"""Opening the catalogue of a cluster's backups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runbook import fact
from runbook.backups.catalogue import Catalogue
from runbook.cluster import Cluster
from runbook.inventory import StoreSettings
from runbook.postgres import Node


@contextmanager
def opened(store: StoreSettings, cluster: Cluster, node: Node) -> Iterator[Catalogue]:
    """Open the store and give the cluster's catalogue in it, for the time of a block."""
    fact("store", f"{store}, folder {cluster.folder or '.'}")
    with store.open(node.host) as connected:
        yield Catalogue(connected, cluster.folder)
