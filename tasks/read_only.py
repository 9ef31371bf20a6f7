"""Servers whose sessions may not write, though nothing but a setting keeps them from it."""

from __future__ import annotations

from runbook.postgres import Node

RESET_IN_CATALOG = (
    "SET default_transaction_read_only = off; ALTER ROLE (or DATABASE) NAME RESET "
    "default_transaction_read_only"
)
"""What ends it where a role or a database has it; only a primary can."""


def way_to_writes(node: Node) -> str:
    """Say how default_transaction_read_only ends, wherever it was set."""
    return (
        f"On {node}: ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf(). "
        "What stands in a file is taken out there, and reloaded; on the command line: taken out "
        f"there, and {node} restarted. Where a role or a database has it: {RESET_IN_CATALOG}."
    )
