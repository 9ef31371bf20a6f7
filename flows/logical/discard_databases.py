"""Removal of the databases that a logical recovery or a component restore has set aside.

When: the recovered databases have proven themselves, and the room is needed.
Loses: the old databases, for good. There is no undo after it.
Requires: an approval.
Way back: none.
"""

from __future__ import annotations

from blocks.load import load_cluster
from flows._procedure import procedure
from runbook import approve, step
from tasks import kept_databases


@procedure("discard-databases")
def discard_databases(cluster: str, moment: str, reason: str = "", dry_run: bool = True) -> None:
    """Drop the databases that a logical recovery or a component restore has set aside.

    Args:
        cluster: Name of the cluster.
        moment: When they were set aside, as their names end.
        reason: Why, for the record.
        dry_run: Only show the plan.
    """
    shop = load_cluster(cluster)

    with step("1", "Find what was set aside"):
        old = kept_databases.find(shop.primary(), moment)

    with step("2", "Ask for the go-ahead"):
        approve(f"The databases of {shop} that were set aside at {moment} are dropped for good.")

    with step("3", "Drop it"):
        kept_databases.drop(old)
