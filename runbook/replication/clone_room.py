"""Is there room for a clone of what a backup holds? Asked before the primary holds it."""

from __future__ import annotations

from runbook.backups.backup import Backup
from runbook.backups.catalogue import Catalogue
from runbook.backups.reading import stored_backup
from runbook.postgres import Node
from runbook.postgres.state import Tablespace
from runbook.replication.clone_places import Source, short_of, targets
from runbook.replication.configuration import configuration
from runbook.restore.room import parts


def cloned(backup: Backup, catalogue: Catalogue) -> Source:
    """Give what a clone of the restored primary will take, from the backup's manifest."""
    base, sizes, _ = parts(stored_backup(catalogue, backup).manifest)
    spaces = tuple(
        Tablespace(oid=each.oid, name="", location=each.location, size=sizes.get(each.oid, 0))
        for each in backup.tablespaces
    )
    return Source(base, int(backup.server_version), spaces)


def shortage(node: Node, taken: Source) -> str:
    """Say what lacks on a standby for a clone beside its old data; empty when there is room."""
    places = targets(node, taken, configuration(node).mapping)
    return short_of(node, taken, places, without_old=False)
