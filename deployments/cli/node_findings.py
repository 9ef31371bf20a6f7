"""Can a PostgreSQL server be reached, asked, backed up and restored with the settings given?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from deployments.cli.finding import Finding, has_program, reached, tried
from runbook.backups.taking import replication
from runbook.cluster import Cluster
from runbook.errors import CheckFailed
from runbook.hosts import Command, Host
from runbook.postgres import Node, access
from runbook.postgres.rights import lacking

_PROGRAMS = ("postgres", "pg_ctl", "pg_controldata", "pg_verifybackup")


def node_findings(cluster: Cluster, node: Node, lost: set[Host]) -> Iterator[Finding]:
    """Try everything on a node; what depends on something that failed is not tried."""
    where = f"node {node}"
    for finding in (
        reached(where, node.host, lost),
        tried(where, f"commands run as {node.os_user}", lambda: _became(node)),
        tried(where, "PostgreSQL answers", lambda: _answered(node)),
    ):
        yield finding
        if not finding.ok:
            return
    located = node.located()
    yield tried(where, "the data directory is the settings'", lambda: _same_directory(located))
    for program in _PROGRAMS:
        yield tried(where, f"{program} runs", partial(_version, located, program))
    yield has_program(where, node.host, "tar", "apt-get install tar")
    without = "apt-get install zstd. Without it the worker decompresses, which is slower."
    yield has_program(where, node.host, "zstd", without)
    user = cluster.replication.user
    yield tried(where, f"{user} may take base backups", lambda: _replicates(cluster, located))
    what = "the server may be stopped, held down and started"
    yield tried(where, what, lambda: _may_be_moved(located))


def _became(node: Node) -> str:
    done = node.host.run(Command(("id", "-un"), user=node.os_user, timeout=30))
    return done.stdout.strip()


def _may_be_moved(node: Node) -> str:
    if missing := lacking(node):
        raise CheckFailed(
            f"sudo does not allow {node.host.way.login or 'the login'}: {'; '.join(missing)}",
            hint="README, Rights on the servers, has the lines for /etc/sudoers.d/pg-runbooks.",
        )
    return node.service.kind


def _answered(node: Node) -> str:
    seen = node.identity()
    role = "standby" if seen.in_recovery else "primary"
    return f"PostgreSQL {seen.version_text}, {role}, system {seen.system_identifier}"


def _same_directory(node: Node) -> str:
    seen, wanted = node.identity().data_directory, node.service.seen_inside(node.data_directory)
    if seen != wanted:
        raise CheckFailed(
            f"settings {wanted}, server {seen}",
            hint="Is this another server on the same port? Correct the inventory.",
        )
    node.host.read("test", "-r", f"{node.data_directory}/PG_VERSION", user=node.os_user)
    return node.data_directory


def _version(node: Node, program: str) -> str:
    return node.workshop().read(node.program(program), "--version", user=node.server_user).strip()


def _replicates(cluster: Cluster, node: Node) -> str:
    if not access.is_granted(node, cluster):
        access.insist_on_grantable(node, cluster)
        return "not yet; the first base-backup adds the missing line to pg_hba.conf"
    with replication(node, cluster) as connection:
        connection.query("IDENTIFY_SYSTEM")
    return "logged in for replication"
