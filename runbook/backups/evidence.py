"""A backup on a run's record: which one, how large, with which checksums."""

from __future__ import annotations

from typing import Literal

from runbook.backups.backup import Backup
from runbook.run import Run

Role = Literal["taken", "restored", "verified"]


def on_record(run: Run, backup: Backup, role: Role) -> None:
    """Write down what a reviewer needs to find and check a backup; a plan has no record."""
    run.record(
        "backup",
        role=role,
        id=backup.id,
        node=backup.node,
        size=backup.data_size,
        stored=backup.stored_size,
        seconds=round(backup.seconds, 3),
        finished=backup.finished.isoformat(timespec="seconds"),
        verified=backup.verified.isoformat(timespec="seconds"),
        server_version=backup.server_version,
        manifest_checksum=backup.manifest_checksum,
        objects=[item.model_dump(mode="json") for item in backup.objects],
    )
