"""The copy of the audit record that a cluster's settings ask for."""

from __future__ import annotations

from functools import partial

from blocks.load import load_cluster, load_store
from runbook.audit.mirror import Mirror
from runbook.errors import RunbookError
from runbook.places import state_directory
from runbook.stores import OpenStore


def copy_for(cluster: str) -> Mirror | None:
    """Give the copy; one whose store has no settings is still queued for, and told each time.

    A cluster without settings is left to the run itself: its record tells how that ended.
    """
    try:
        settings = load_cluster(cluster).audit if cluster else None
    except RunbookError:
        return None
    if settings is None:
        return None
    try:
        opens = load_store(settings.store).open
    except RunbookError as error:
        opens = partial(_unknown, error)
    return Mirror(state_directory() / "audit", settings, opens)


def _unknown(error: RunbookError) -> OpenStore:
    raise error
