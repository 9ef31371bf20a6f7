"""Where a worker keeps what must outlive a run: locks, audit records, run marks."""

from __future__ import annotations

import os
from pathlib import Path


def state_directory() -> Path:
    """Give the state directory: PG_RUNBOOKS_STATE, or the usual place of the user."""
    named = os.environ.get("PG_RUNBOOKS_STATE")
    if named:
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib/pg-runbooks")
    return Path.home() / ".local" / "state" / "pg-runbooks"
