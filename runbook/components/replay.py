"""What replay does to those who read from a standby.

Ref.: https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-CONFLICT
"""

from __future__ import annotations

from runbook.components.group import Server
from runbook.errors import RunbookError

# A standby ends a query that stands in the way of its replay, after this patience.
_PATIENCE = """
SELECT current_setting('hot_standby_feedback')::bool AS feedback,
       current_setting('max_standby_streaming_delay') AS patience
"""

# How often replay has ended somebody in a database since the statistics were last reset.
_CONFLICTS = "SELECT conflicts FROM pg_catalog.pg_stat_database WHERE datname = '{name}'"
_ENDED = "conflict with recovery"


def danger(server: Server) -> str:
    """Tell how replay may end a dump on a server; empty where it cannot."""
    if not server.is_standby:
        return ""
    row = server.node.ask(_PATIENCE)[0]
    if row["feedback"] or row["patience"] == "-1":
        return ""
    return (
        f"hot_standby_feedback is off on {server}: replay may end a dump there after "
        f"{row['patience']} (max_standby_streaming_delay)"
    )


def conflicts(server: Server, database: str) -> int:
    """Count whom replay has ended in a database of a server so far; on a primary nobody."""
    if not server.is_standby:
        return 0
    rows = server.node.ask(_CONFLICTS.format(name=database.replace("'", "''")))
    return int(str(rows[0]["conflicts"])) if rows else 0


def ended(server: Server, database: str, said: str, before: int) -> bool:
    """Tell whether replay has ended a program that `said` this, `before` that many conflicts.

    A program that was just about to ask finds its connection closed and never reads why, so the
    server is asked, too. One that does not answer is taken not to have done it.
    """
    if _ENDED in said:
        return True
    try:
        return conflicts(server, database) > before
    except RunbookError:
        return False
