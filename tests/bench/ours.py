"""Our own runbooks as what is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import commands, settings
from tests.bench.bed import Bed
from tests.bench.order import Answer, Order
from tests.bench.settings import Inventory
from tests.lab.postgres import PostgresNode
from tests.lab.s3 import S3Server


@dataclass(frozen=True)
class Ours:
    """Our runbooks on one server, with an inventory of their own."""

    bed: Bed
    node: PostgresNode
    inventory: Path
    secret: str = ""

    @property
    def stores(self) -> Path:
        """Give the folder with the stores."""
        return self.inventory.parent

    def folder(self, cluster: str) -> Path:
        """Give the folder of a cluster's backups."""
        return self.stores / ("node" if cluster == "page" else "disk") / cluster

    def run(
        self, runbook: str, cluster: str, *, synced: str = "", in_prefect: bool = False, **more: str
    ) -> Answer:
        """Run a runbook in a process of its own."""
        parameters: Mapping[str, str | bool] = {"cluster": cluster, **more}
        if runbook == "instance-restore":
            parameters = {**parameters, "again": True}
        return Order(
            inventory=str(self.inventory),
            runbook=runbook,
            parameters=parameters,
            state=str(self.stores / "state"),
            synced=synced,
            in_prefect=in_prefect,
            secret=self.secret,
        ).carried_out()

    def newest(self, cluster: str) -> Path:
        """Give the directory of a cluster's newest backup."""
        return max(self.folder(cluster).glob("backup_*[0-9]"))


def made_ready(bed: Bed, node: PostgresNode, s3: S3Server | None = None) -> Ours:
    """Write the inventory: every cluster in it is the same server."""
    folder = bed.folder(f"ours-{node.name}")
    for name in ("disk", "node", "state"):
        commands.folder(folder / name)
    stores = {
        "disk": settings.folder_store(folder / "disk"),
        "node": settings.node_store(folder / "node"),
    }
    clusters = {
        "fast": settings.cluster(node, "disk", workers=bed.workers),
        "gzip": settings.cluster(node, "disk", compression="gzip"),
        "page": settings.cluster(node, "node", format="page"),
        "adopted": settings.cluster(node, "disk"),
        "ssh": settings.cluster(node, "disk", over_ssh=True, workers=bed.workers),
    }
    if s3 is not None:
        stores["s3"] = settings.s3_store(s3)
        clusters["s3"] = settings.cluster(node, "s3", workers=bed.workers)
    file = Inventory(folder / "inventory.yaml", stores, clusters).write()
    return Ours(bed, node, file, s3.secret if s3 else "")
