"""Policy documents of a kept version, imported into the platform.

When: policy was lost or damaged, or a new cluster shall have it.
Loses: nothing; with replace, the cluster's text is kept first, beside the versions.
Requires: block "PostgreSQL cluster" with exports; a client that is logged in; an approval.
Way back: policy-import with replace of version replaced/<id>, which the record names.
"""

from __future__ import annotations

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import approve, step
from runbook.platform import places
from tasks import platform_client
from tasks import platform_policy as policy


@procedure("policy-import", needs="exports")
def policy_import(
    cluster: str,
    version: str = "latest",
    document: str = "",
    replace: bool = False,
    reason: str = "",
    dry_run: bool = True,
) -> None:
    """Import the policy documents of a version that the cluster lacks.

    Args:
        cluster: Name of the cluster.
        version: A commit, or the id of an export; latest: the newest. With replaced/ before it:
            what an import has kept.
        document: Name of the only document to import; empty: all of the version.
        replace: Also import documents that the cluster has with another text.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    with places.policies(load_cluster(cluster), load_store) as policies:
        with step("1", "Find the client and the documents to import"):
            policy.find(policies)
            wanted = policy.wanted(policies, version, document)

        with step("2", "Compare them with the cluster: new, same, different"):
            found = policy.compare(policies, wanted, replace=replace)

        with step("3", "Ask for the go-ahead"):
            approve(f"Policy documents of version {wanted.id} are imported into {cluster}.")

        with step("4", "Keep the text that is replaced"):
            policy.keep_replaced(policies, found)

        with step("5", "Import what is new or different"):
            platform_client.clear(policies.client)
            policy.take_in(policies, found)

        with step("6", "Export and compare"):
            policy.imported(policies, wanted, found)
