"""Taking a base backup over the replication protocol, straight into a store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from runbook.backups.backup import Backup, BackupTablespace, StoredObject
from runbook.backups.catalogue import Catalogue
from runbook.backups.kept_wal import KeptWal
from runbook.cluster import Backups, Cluster
from runbook.errors import SettingsError
from runbook.postgres import Node
from runbook.postgres.login import replication
from runbook.stores import Upload
from runbook.stream.base_backup import Archive as ArchiveEvent
from runbook.stream.base_backup import (
    BackupOptions,
    Compression,
    Finished,
    Started,
    base_backup,
    compressions,
)
from runbook.stream.base_backup import Progress as ProgressEvent
from runbook.stream.codecs import Codec
from runbook.stream.take import Encoding, TakenBackup, take
from runbook.units import Lsn

__all__ = ["Recipe", "insist_on_possible", "recipe", "record_of", "replication", "take_into"]

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Recipe:
    """How the bytes are compressed: by the server, or by the worker when the server cannot."""

    server: Compression | None
    worker: Encoding | None

    def __str__(self) -> str:
        if self.server is not None:
            workers = f", {self.server.workers} workers" if self.server.workers else ""
            return f"{self.server.codec} level {self.server.level} by the server{workers}"
        if self.worker is not None:
            return f"{self.worker.codec} level {self.worker.level} by the worker"
        return "none"


def recipe(settings: Backups, available: frozenset[Codec]) -> Recipe:
    """Choose the fastest safe compression of what the settings and the server's build allow."""
    wanted = settings.compression
    if wanted == "none":
        return Recipe(None, None)
    order = [Codec.ZSTD, Codec.LZ4] if wanted == "auto" else [Codec(wanted)]
    for codec in order:
        if codec in available and codec is not Codec.GZIP:
            workers = settings.workers if codec is Codec.ZSTD else None
            return Recipe(Compression(codec, level=1, workers=workers), None)
    codec = Codec.GZIP if wanted == "gzip" else Codec.ZSTD
    return Recipe(None, Encoding(codec, level=1, threads=max(1, settings.workers)))


def insist_on_possible(settings: Backups, label: str) -> None:
    """Refuse a label or a rate that PostgreSQL would refuse, before anything is begun."""
    BackupOptions(label=label, max_rate=kilobytes(settings.max_rate)).command()


@dataclass(frozen=True)
class Streamed:
    """A backup that is in the store, how, and why no slot has kept its WAL, if none has."""

    taken: TakenBackup
    recipe: Recipe
    without_slot: str


def take_into(
    catalogue: Catalogue, backup_id: str, node: Node, cluster: Cluster, *, label: str, tell: Tell
) -> Streamed:
    """Stream a backup into the store, verified against its manifest on the way."""
    with replication(node, cluster) as connection, closing(KeptWal(node, cluster)) as wal:
        chosen = recipe(cluster.backups, compressions(connection))
        options = BackupOptions(
            label=label,
            fast_checkpoint=cluster.backups.fast_checkpoint,
            compression=chosen.server or Compression(),
            max_rate=kilobytes(cluster.backups.max_rate),
        )
        taken = take(
            base_backup(connection, options),
            lambda name: _sink(catalogue, backup_id, name),
            encoding=chosen.worker,
            observe=_Meter(tell, wal).hear,
        )
    return Streamed(taken, chosen, wal.problem)


def record_of(
    streamed: Streamed,
    *,
    backup_id: str,
    cluster: Cluster,
    node: Node,
    label: str,
    began: datetime,
    run_id: str,
) -> Backup:
    """Write down what was taken."""
    finished = datetime.now(UTC)
    taken, chosen = streamed.taken, streamed.recipe
    facts = taken.facts
    return Backup(
        id=backup_id,
        cluster=cluster.name,
        node=node.name,
        made_by="fast",
        label=label,
        system_identifier=str(facts.system_identifier),
        server_version=facts.major_version,
        client_version="pg-runbooks",
        timeline=facts.timeline,
        start_lsn=Lsn(taken.started.start_lsn),
        stop_lsn=Lsn(taken.finished.end_lsn),
        tablespaces=tuple(
            BackupTablespace(oid=oid, location=where) for oid, where in facts.tablespaces.items()
        ),
        objects=tuple(
            StoredObject(name=item.name, size=item.size, sha256=item.sha256)
            for item in taken.objects
        ),
        data_size=facts.size,
        compression=str(chosen),
        self_contained=facts.self_contained,
        manifest_checksum=facts.manifest_checksum,
        began=began,
        finished=finished,
        verified=finished,
        seconds=round((finished - began).total_seconds(), 3),
        run_id=run_id,
    )


@contextmanager
def _sink(catalogue: Catalogue, backup_id: str, name: str) -> Iterator[Upload]:
    with catalogue.store.upload(catalogue.key(backup_id, name)) as upload:
        yield upload
        upload.commit()


class _Meter:
    """Turns the server's progress messages into bytes done of bytes expected, and keeps its WAL."""

    def __init__(self, tell: Tell, wal: KeptWal) -> None:
        self._tell = tell
        self._wal = wal
        self._total = 0

    def hear(self, event: Started | ArchiveEvent | ProgressEvent | Finished) -> None:
        """Listen to one event."""
        if isinstance(event, Started):
            self._total = event.size
            self._wal.begin()
            return
        self._wal.renew()
        if isinstance(event, ProgressEvent):
            self._tell(event.done, self._total)


def kilobytes(rate: str) -> int | None:
    """Read a rate as pg_basebackup --max-rate takes it: kB, or with suffix k or M."""
    if not rate:
        return None
    number = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kM]?)", rate)
    found = int(float(number[1]) * (1024 if number[2] == "M" else 1)) if number else 0
    if not 32 <= found <= 1048576:
        raise SettingsError(
            f"backups.max_rate cannot be {rate!r}",
            detail="PostgreSQL takes 32 kB to 1 GB per second, with suffix k or M.",
            hint="Write for instance max_rate: 50M.",
        )
    return found
