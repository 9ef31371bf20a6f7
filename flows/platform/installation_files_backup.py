"""Installation files of the platform, under version control.

When: every night, and before every edit of them.
Loses: nothing; the files are only read.
Requires: block "PostgreSQL cluster" with exports.installation.
Way back: none needed; the older versions remain.
"""

from __future__ import annotations

from typing import Literal

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import step
from runbook.platform import places
from tasks import platform_installation, platform_versions


@procedure(
    "installation-files-backup",
    scheduled=True,
    hour=11,
    needs="exports.installation",
    part_of="platform-backup",
)
def installation_files_backup(
    cluster: str,
    drift: Literal["keep", "refuse"] = "keep",
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Keep cluster.conf and the Terraform files, if they are not what version control has.

    Args:
        cluster: Name of the cluster.
        drift: keep or refuse files that are not what version control has.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    with places.installation(load_cluster(cluster), load_store) as installation:
        with step("1", "Find the files and the place of the versions"):
            platform_installation.find(installation)
            platform_versions.clear(installation.place)

        with step("2", "Read every file, and compare it with version control"):
            documents = platform_installation.read(installation, drift)

        with step("3", "Keep them, if anything has changed"):
            title = f"Installation files of {cluster}"
            platform_versions.keep(installation.place, documents, title)

        with step("4", "Read once more and compare"):
            platform_installation.confirm(installation, documents)

        with step("5", "Remove the versions that the rule no longer keeps"):
            platform_versions.prune(installation.place, installation.settings.keep, documents)
