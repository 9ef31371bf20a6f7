"""Backups that were not streamed by us: made by pg_basebackup on the node, by us or by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from runbook.backups.backup import Backup, BackupTablespace
from runbook.backups.catalogue import Catalogue
from runbook.backups.reading import StoredBackup, Tell, Verified
from runbook.errors import CheckFailed
from runbook.stream.codecs import Codec
from runbook.units import Lsn


def read_foreign(catalogue: Catalogue, backup_id: str, tell: Tell) -> Verified:
    """Verify what lies in a directory against its manifest; Damaged says what is wrong."""
    found = next((found for found in catalogue.found() if found.id == backup_id), None)
    if found is None or not found.objects:
        raise CheckFailed(
            f"there is no {backup_id} in {catalogue}",
            hint="Its directory must be named backup_<YYYYmmddHHMMSS> and lie there.",
        )
    names = sorted(found.names, key=lambda name: (not name.startswith("base."), name))
    opened = StoredBackup(catalogue, backup_id, names)
    opened.expect_bytes(found.size)
    return opened.verify(tell)


def described(
    verified: Verified,
    *,
    backup_id: str,
    cluster: str,
    node: str,
    made_by: Literal["page", "adopted"],
    label: str,
    began: datetime | None,
    run_id: str,
) -> Backup:
    """Write the record of a verified backup from its own bytes.

    Without `began` it is as old as its bytes say: an old backup adopted today must not count as
    the newest.
    """
    facts, now = verified.facts, datetime.now(UTC)
    finished = now if began else verified.newest_file
    began = began or finished
    ranges = verified.manifest.wal_ranges
    base = next(item.name for item in verified.objects if item.name.startswith("base.tar"))
    return Backup(
        id=backup_id,
        cluster=cluster,
        node=node,
        made_by=made_by,
        label=label or facts.label.label,
        system_identifier=str(facts.system_identifier),
        server_version=facts.major_version,
        client_version="pg_basebackup",
        timeline=facts.timeline,
        start_lsn=Lsn(ranges[0].start),
        stop_lsn=Lsn(ranges[-1].end),
        tablespaces=tuple(
            BackupTablespace(oid=oid, location=where) for oid, where in facts.tablespaces.items()
        ),
        objects=verified.objects,
        data_size=facts.size,
        compression=str(Codec.of(base)),
        self_contained=facts.self_contained,
        manifest_checksum=facts.manifest_checksum,
        began=began,
        finished=finished,
        verified=now,
        seconds=round((finished - began).total_seconds(), 3),
        run_id=run_id,
    )
