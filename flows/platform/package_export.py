"""Packages of the platform, each as an archive in a store.

When: every night, and before a change of the cluster.
Loses: nothing; the cluster is only read.
Requires: block "PostgreSQL cluster" with exports.packages; a client that is logged in; a store.
Way back: none needed; nothing but the store was changed.
"""

from __future__ import annotations

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import step
from runbook.platform import places
from tasks import platform_archives


@procedure(
    "package-export", scheduled=True, hour=10, needs="exports.packages", part_of="platform-backup"
)
def package_export(cluster: str, reason: str = "", dry_run: bool = True) -> None:
    """Export every package of the settings, read back to its last byte.

    Args:
        cluster: Name of the cluster.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    with places.archives(load_cluster(cluster), "package", load_store) as packages:
        with step("1", "Find the client, the store and the packages"):
            platform_archives.find(packages)
            platform_archives.clear(packages)

        with step("2", "Export every package, and read every archive back"):
            platform_archives.export(packages)

        with step("3", "Remove the exports that the rule no longer keeps"):
            platform_archives.prune(packages)
