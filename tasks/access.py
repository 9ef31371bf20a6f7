"""Access for base backups."""

from __future__ import annotations

from runbook import check, ensure
from runbook.cluster import Cluster
from runbook.postgres import Node, access
from tasks._task import task


@task("allow replication connections on {node}")
def allow_base_backups(node: Node, cluster: Cluster) -> None:
    """See that pg_hba.conf lets the backup's login in: narrowest rule, file kept aside, reload."""
    access.insist_on_grantable(node, cluster)
    user, address = cluster.replication.user, node.address
    ensure(
        f"{node} lets {user} take base backups from {address}",
        holds=lambda: access.is_granted(node, cluster),
        by=lambda: access.grant(node, cluster),
        within=15,
    )


@task("check that {node} can serve a base backup")
def can_serve(node: Node) -> None:
    """Insist on WAL that is enough for a backup and on a free walsender."""
    row = node.ask(WALSENDERS)[0]
    check(
        f"{node} writes WAL that a backup needs (wal_level)",
        lambda: row["wal_level"] != "minimal",
        seen=lambda: f"wal_level is {row['wal_level']}",
        hint="Set wal_level = replica and restart PostgreSQL.",
    )
    check(
        f"{node} has a free connection for a base backup (max_wal_senders)",
        lambda: int(str(row["used"])) < int(str(row["allowed"])),
        seen=lambda: f"{row['used']} of {row['allowed']} are in use",
        hint="Look at pg_stat_replication: what is connected there?",
    )


WALSENDERS = """
SELECT current_setting('wal_level') AS wal_level,
       current_setting('max_wal_senders')::int AS allowed,
       (SELECT count(*) FROM pg_catalog.pg_stat_replication) AS used
"""
