"""Everything of a platform that must outlive it, in one run and with one table of evidence.

When: every night, and before the platform is upgraded, moved or shut down.
Loses: nothing; PostgreSQL, the Orchestrator and the applications go on.
Requires: what its parts require, each by itself: components, orchestrator, exports.
Way back: none needed; nothing but files in folders, stores and the repository was added.
"""

from __future__ import annotations

from flows._platform import whole_platform
from flows._procedure import procedure
from flows.platform.component_backup import component_backup
from flows.platform.installation_files_backup import installation_files_backup
from flows.platform.job_export import job_export
from flows.platform.orchestrator_backup import orchestrator_backup
from flows.platform.package_export import package_export
from flows.platform.policy_export import policy_export
from runbook import step
from tasks import platform_evidence


@procedure("platform-backup", scheduled=True, alone=False, hour=0, needs="platform")
def platform_backup(cluster: str, reason: str = "", dry_run: bool = True) -> None:
    """Back up all parts of a platform; one that fails stops no other, and fails the run at last.

    Args:
        cluster: Name of the cluster whose setting platform names the others.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    with step("1", "Find the clusters of the platform"):
        platform = whole_platform(cluster, reason)

    with platform.alone():
        with step("2", "Dump the component databases of every server group"):
            platform.back_up(component_backup)

        with step("3", "Back up the Orchestrator"):
            platform.back_up(orchestrator_backup)

        with step("4", "Export the policy documents"):
            platform.back_up(policy_export)

        with step("5", "Export the packages"):
            platform.back_up(package_export)

        with step("6", "Export the jobs"):
            platform.back_up(job_export)

        with step("7", "Keep the installation files"):
            platform.back_up(installation_files_backup)

        with step("8", "Show the evidence, and what failed"):
            platform_evidence.show(platform.parts)
