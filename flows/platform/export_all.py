"""All data of a platform in one archive; packages and jobs apart where the client refuses that.

When: before the platform is moved or shut down; every night packages and jobs are exported apart.
Loses: nothing; the cluster is only read.
Requires: block "PostgreSQL cluster" with exports; a client that is logged in; a store.
Way back: none needed; nothing but the store was changed.
"""

from __future__ import annotations

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import step
from runbook.platform import places
from tasks import platform_everything


@procedure("export-all", needs="exports")
def export_all(cluster: str, reason: str = "", dry_run: bool = True) -> None:
    """Export everything within the platform, read back to its last byte.

    Args:
        cluster: Name of the cluster.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    with places.all_data(load_cluster(cluster), load_store) as data:
        with step("1", "Find the client and the store"):
            platform_everything.find(data)
            platform_everything.clear(data)

        with step("2", "Export all cluster data into one file, and read it back"):
            refused = platform_everything.export(data)

        with step("3", "If that is refused, export package data and job data separately"):
            platform_everything.apart(data, refused)

        with step("4", "Remove the exports that the rule no longer keeps"):
            platform_everything.prune(data)
