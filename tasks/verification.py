"""Verifying stored backups again."""

from __future__ import annotations

from runbook import ensure, fact
from runbook.actions import Work
from runbook.backups.backup import Backup
from runbook.backups.catalogue import Catalogue
from runbook.backups.evidence import on_record
from runbook.backups.reading import stored_backup
from runbook.cluster import Cluster
from runbook.errors import Damaged
from runbook.run import current
from tasks._task import task


@task("choose the backup {wanted}")
def choose(catalogue: Catalogue, cluster: Cluster, wanted: str) -> Backup:
    """Find the backup that shall be verified."""
    chosen = catalogue.choose(wanted, cluster.name, even_incomplete=True)
    fact("backup", f"{chosen.id}, last verified {chosen.verified:%Y-%m-%d %H:%M:%S} UTC")
    return chosen


@task("verify {backup.id}")
def verify(catalogue: Catalogue, backup: Backup) -> None:
    """Read every byte; a damaged backup is marked so that nobody restores it."""
    run = current()
    ensure(
        f"{backup.id} was read to its last byte by this run, and is sound",
        holds=lambda: run.memory.get("verified") == backup.id,
        by=[
            Work(
                str(catalogue),
                f"read every byte of {backup.id} against its manifest; then write into the store "
                "that it was, or why it is damaged",
                lambda: _verified(catalogue, backup),
            )
        ],
    )


def _verified(catalogue: Catalogue, backup: Backup) -> str:
    run = current()
    title = f"verification of {backup.id}"
    try:
        stored_backup(catalogue, backup).verify(
            lambda done, total: run.progress(title, done, total)
        )
    except Damaged as error:
        catalogue.mark_damaged(backup.id, str(error))
        raise
    catalogue.note_verified(backup)
    run.memory["verified"] = backup.id
    on_record(run, backup, "verified")
    return f"{backup.id} is sound"
