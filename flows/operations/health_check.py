"""Health check of a PostgreSQL cluster and of what uses it.

When: after every restore, promotion or rebuild; every night; whenever somebody asks "is it well?".
Loses: nothing.
Requires: block "PostgreSQL cluster", with its limits and HTTP checks.
Way back: none is needed: only declared HTTP checks that write change anything, and they clean up.
"""

from __future__ import annotations

from blocks.load import load_cluster, load_store
from flows._procedure import procedure
from runbook import step
from runbook.health.examination import Examination
from tasks import examination


@procedure("health-check", scheduled=True, alone=False)
def health_check(
    cluster: str, read_all: bool = False, reason: str = "", dry_run: bool = True
) -> None:
    """Look at everything, show all findings in one table, and fail when one is critical.

    Args:
        cluster: Name of the cluster.
        read_all: Also open every relation of every database on every node.
        reason: Why, for the record.
        dry_run: Do not make the declared HTTP calls that change something; all others are made.
    """
    exam = Examination(load_cluster(cluster), at_once=dry_run)

    with step("1", "Ask PostgreSQL on every node"):
        examination.databases(exam, read_all)
        examination.leftovers(exam)

    with step("2", "Ask repmgr"):
        examination.replication_manager(exam)

    with step("3", "See that the containers of every application run"):
        examination.containers(exam)

    with step("4", "Make the declared HTTP calls"):
        examination.calls(exam)

    with step("5", "See how old the newest backups are"):
        examination.backups(exam, load_store)

    with step("6", "Tell what was found"):
        examination.verdict(exam)
