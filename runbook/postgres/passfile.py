"""A line of a password file for the replication login."""

from __future__ import annotations

import re

from runbook.cluster import Cluster


def passfile_line(cluster: Cluster) -> str:
    """Give the line, or nothing where there is no password."""
    password = cluster.replication_password.get_secret_value()
    return line_for(cluster.replication.user, password) if password else ""


def line_for(user: str, password: str) -> str:
    """Write a line for any server.

    Ref.: PostgreSQL documentation, The Password File
    """
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    return f"*:*:*:{user}:{escaped}"


def password_in(line: str, user: str) -> str:
    """Read the password of a line that `line_for` wrote; empty where it is of somebody else."""
    prefix = f"*:*:*:{user}:"
    if not line.startswith(prefix):
        return ""
    return re.sub(r"\\(.)", r"\1", line.removeprefix(prefix).rstrip("\n"))
