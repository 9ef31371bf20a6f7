"""Packages of a kept export, imported into the platform.

When: packages were lost, or another cluster shall have them.
Loses: nothing; what exists is never replaced.
Requires: block "PostgreSQL cluster" with exports; a client that is logged in; an approval.
Way back: delete the imported packages by hand; the record names them.
"""

from __future__ import annotations

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import approve, step
from runbook.platform import places
from tasks import platform_archives, platform_client


@procedure("package-import", needs="exports")
def package_import(
    cluster: str,
    version: str = "latest",
    name: str = "",
    skip_existing: bool = False,
    override: str = "",
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Import the packages of an export that the cluster lacks.

    Args:
        cluster: Name of the cluster.
        version: Id of an export; latest: the newest.
        name: Name of the only package to import; empty: all of the export.
        skip_existing: Leave out packages whose name exists with other content, instead of refusing.
        override: Namespace to import into; empty: the one that each was exported from.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    with places.archives(load_cluster(cluster), "package", load_store) as packages:
        with step("1", "Find the client and the archives to import"):
            job = platform_archives.wanted(packages, version, name, override)

        with step("2", "Compare them with the cluster: new, same, different"):
            new = platform_archives.compare(job, skip_existing=skip_existing)

        with step("3", "Ask for the go-ahead"):
            approve(f"{len(new)} packages of export {job.export.id} are imported into {cluster}.")

        with step("4", "Import what is new, export it and compare"):
            platform_client.clear(packages.client)
            platform_archives.take_in(job, new, skip_existing=skip_existing)
