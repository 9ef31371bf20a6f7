"""Taking in backups that were made by hand."""

from __future__ import annotations

from runbook import check, ensure, fact
from runbook.actions import Work
from runbook.backups.backup import MANIFEST, is_backup_id
from runbook.backups.catalogue import Catalogue, Found
from runbook.backups.foreign import described, read_foreign
from runbook.cluster import Cluster
from runbook.errors import CheckFailed
from runbook.run import current
from runbook.units import readable_bytes
from tasks._task import task


@task("find {backup_id}")
def find(catalogue: Catalogue, backup_id: str) -> Found:
    """Find the directory; it must be whole and nobody may be writing it."""
    found = next((item for item in catalogue.found() if item.id == backup_id), None)
    if found is None or not is_backup_id(backup_id):
        raise CheckFailed(
            f"there is no {backup_id} in {catalogue}",
            hint="Move the directory there, named backup_<YYYYmmddHHMMSS>.",
        )
    fact("directory", f"{catalogue}/{backup_id}, {readable_bytes(found.size)}")
    check(
        f"{backup_id} is not a backup that a run of ours is writing",
        lambda: not found.begun,
        hint="An interrupted run of base-backup left it; the next run clears it.",
    )
    check(
        f"{backup_id} has its backup_manifest, which pg_basebackup writes last",
        lambda: MANIFEST in found.names,
        hint="It was cut off, or made with --no-manifest; such a backup cannot be proven.",
    )
    return found


@task("adopt {found.id}")
def enter(catalogue: Catalogue, found: Found, cluster: Cluster) -> None:
    """Verify every byte against the manifest; then write backup.json."""
    ensure(
        f"{found.id} is verified and in the catalogue",
        holds=lambda: any(item.id == found.id and item.complete for item in catalogue.found()),
        by=[
            Work(
                str(catalogue),
                f"read every byte of {found.id} against its manifest; then write backup.json",
                lambda: _adopted(catalogue, found.id, cluster),
            )
        ],
    )


def _adopted(catalogue: Catalogue, backup_id: str, cluster: Cluster) -> str:
    run = current()
    title = f"verification of {backup_id}"
    verified = read_foreign(
        catalogue, backup_id, lambda done, total: run.progress(title, done, total)
    )
    catalogue.enter(
        described(
            verified,
            backup_id=backup_id,
            cluster=cluster.name,
            node="unknown",
            made_by="adopted",
            label="",
            began=None,
            run_id=run.id,
        )
    )
    return f"{backup_id} is sound and in the catalogue"
