"""Policy documents of the platform, under version control.

When: every night, and before anybody changes policy.
Loses: nothing; the cluster is only read.
Requires: block "PostgreSQL cluster" with exports; a client that is logged in to the platform.
Way back: none needed; the older versions remain.
"""

from __future__ import annotations

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import step
from runbook.platform import places
from tasks import platform_policy as policy
from tasks import platform_versions


@procedure("policy-export", scheduled=True, hour=8, needs="exports", part_of="platform-backup")
def policy_export(cluster: str, reason: str = "", dry_run: bool = True) -> None:
    """Export every policy document, and keep a new version if anything has changed.

    Args:
        cluster: Name of the cluster.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    with places.policies(load_cluster(cluster), load_store) as policies:
        with step("1", "Find the client and the place of the versions"):
            policy.find(policies)
            platform_versions.clear(policies.place)

        with step("2", "Export the policy documents and read every one"):
            documents = policy.export(policies)

        with step("3", "Keep them, if anything has changed"):
            platform_versions.keep(policies.place, documents, f"Policy of {cluster}")

        with step("4", "Export once more and compare"):
            policy.confirm(policies, documents)

        with step("5", "Remove the exports that the rule no longer keeps"):
            platform_versions.prune(policies.place, policies.settings.keep, documents)
