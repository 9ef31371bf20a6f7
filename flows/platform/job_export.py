"""Jobs of the platform, each as an archive in a store.

When: every night, and before a change of the cluster.
Loses: nothing; the cluster is only read.
Requires: block "PostgreSQL cluster" with exports.jobs; a client that is logged in; a store.
Way back: none needed; nothing but the store was changed.
"""

from __future__ import annotations

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import step
from runbook.platform import places
from tasks import platform_archives


@procedure("job-export", scheduled=True, hour=9, needs="exports.jobs", part_of="platform-backup")
def job_export(cluster: str, reason: str = "", dry_run: bool = True) -> None:
    """Export every job of the settings, read back to its last byte.

    Args:
        cluster: Name of the cluster.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    with places.archives(load_cluster(cluster), "job", load_store) as jobs:
        with step("1", "Find the client, the store and the jobs"):
            platform_archives.find(jobs)
            platform_archives.clear(jobs)

        with step("2", "Export every job, and read every archive back"):
            platform_archives.export(jobs)

        with step("3", "Remove the exports that the rule no longer keeps"):
            platform_archives.prune(jobs)
