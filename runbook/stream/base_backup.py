"""A base backup taken over the replication protocol of PostgreSQL 15 and newer.

Unlike pg_basebackup this gives server-side compression, manifest, several tablespaces and
progress in one stream, with nothing staged on a disk.
Ref.: https://www.postgresql.org/docs/current/protocol-replication.html (BASE_BACKUP)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

from runbook.errors import CommandFailed, Refused, SettingsError
from runbook.stream.checksums import ALGORITHMS
from runbook.stream.codecs import Codec
from runbook.stream.events import (
    Archive,
    Data,
    Event,
    Finished,
    ManifestDone,
    Progress,
    Started,
    Tablespace,
)
from runbook.stream.replication import Replication, ServerError
from runbook.units import Lsn

__all__ = [
    "Archive",
    "BackupOptions",
    "Compression",
    "Data",
    "Event",
    "Finished",
    "Identity",
    "ManifestDone",
    "Progress",
    "Started",
    "Tablespace",
    "base_backup",
    "check_version",
    "compressions",
    "identify",
    "keep_wal",
    "show",
]

OLDEST = 150000
PIECE = 512 << 10
_LABEL_LIMIT = 1024
_SUPPORTED = "22023"
_UNSUPPORTED = ("0A000", "42601")


@dataclass(frozen=True)
class Compression:
    """What the server shall do to the archives; `workers` only for zstd."""

    codec: Codec = Codec.NONE
    level: int | None = None
    workers: int | None = None

    def clauses(self) -> list[str]:
        """Write the options of BASE_BACKUP."""
        if self.codec is Codec.NONE:
            return []
        detail = [
            f"{name}={value}"
            for name, value in (("level", self.level), ("workers", self.workers))
            if value is not None
        ]
        clauses = [f"COMPRESSION {_quoted(self.codec)}"]
        return clauses + ([f"COMPRESSION_DETAIL {_quoted(','.join(detail))}"] if detail else [])


@dataclass(frozen=True)
class BackupOptions:
    """How to take the backup; `max_rate` in KiB per second, 32 to 1048576."""

    label: str
    compression: Compression = field(default_factory=Compression)
    fast_checkpoint: bool = True
    max_rate: int | None = None
    checksums: str = "CRC32C"

    def command(self) -> str:
        """Write the BASE_BACKUP command; raises `SettingsError` for impossible options."""
        if len(self.label.encode()) > _LABEL_LIMIT or any(ord(char) < 32 for char in self.label):
            raise SettingsError(
                "the label of a backup has at most 1024 bytes and no control characters"
            )
        if self.checksums not in ALGORITHMS:
            raise SettingsError(f"no manifest checksums are called {self.checksums}")
        clauses = [
            f"LABEL {_quoted(self.label)}",
            f"CHECKPOINT {_quoted('fast' if self.fast_checkpoint else 'spread')}",
            "WAL true",
            "WAIT false",
            "PROGRESS true",
            "TABLESPACE_MAP true",
            "MANIFEST 'yes'",
            f"MANIFEST_CHECKSUMS {_quoted(self.checksums)}",
            *([f"MAX_RATE {self.max_rate:d}"] if self.max_rate else []),
            *self.compression.clauses(),
            "TARGET 'client'",
        ]
        return f"BASE_BACKUP ({', '.join(clauses)})"


@dataclass(frozen=True)
class Identity:
    """Who answers at the other end."""

    system_identifier: int
    timeline: int
    lsn: int
    server_version: int


def identify(connection: Replication, limit: float | None = None) -> Identity:
    """Ask who answers (IDENTIFY_SYSTEM); `limit` as `Replication.query` has it."""
    row = connection.query("IDENTIFY_SYSTEM", limit)[0]
    identifier, timeline, lsn = (str(value) for value in row[:3])
    return Identity(int(identifier), int(timeline), Lsn(lsn).position, connection.server_version)


def show(connection: Replication, name: str) -> str:
    """Read one setting (SHOW)."""
    if not name.replace("_", "").isalnum():
        raise SettingsError(f"no setting is called {name!r}")
    return str(connection.query(f"SHOW {name}")[0][0])


def compressions(connection: Replication) -> frozenset[Codec]:
    """Find out which compressions this server's build has, without starting a backup.

    Asks for each with a label that is too long: a build without it complains of the compression,
    one with it of the label, which PostgreSQL checks before it does anything.
    """
    check_version(connection)
    found = {Codec.NONE}
    for codec in (Codec.ZSTD, Codec.LZ4, Codec.GZIP):
        label = _quoted("x" * (_LABEL_LIMIT + 1))
        try:
            connection.query(f"BASE_BACKUP (LABEL {label}, COMPRESSION {_quoted(codec)})")
        except ServerError as error:
            connection.end()
            if error.sqlstate == _SUPPORTED:
                found.add(codec)
            elif error.sqlstate not in _UNSUPPORTED:
                raise
    return frozenset(found)


def keep_wal(connection: Replication, limit: float | None = None) -> None:
    """Let the server keep its WAL from the last checkpoint on while the connection lives.

    The slot is temporary and goes with the connection. Raises `ServerError` where none is free.
    Ref.: https://www.postgresql.org/docs/current/protocol-replication.html
    """
    name = f"pg_runbooks_{uuid4().hex[:12]}"
    command = f"CREATE_REPLICATION_SLOT {name} TEMPORARY PHYSICAL (RESERVE_WAL)"
    connection.query(command, limit)


def check_version(connection: Replication) -> None:
    """Raise `Refused` for a server whose BASE_BACKUP speaks the older protocol."""
    if connection.server_version < OLDEST:
        raise Refused(
            f"PostgreSQL {connection.server_version // 10000} cannot stream archives and manifest",
            detail="BASE_BACKUP with compression and archive names came with PostgreSQL 15.",
            hint="Use the documented format there: pg_basebackup -F tar -z -X fetch.",
        )


def base_backup(connection: Replication, options: BackupOptions) -> Iterator[Event]:
    """Take a base backup, WAL included; closed early, it leaves no walsender behind.

    Raises `ServerError` when the server gives up, `Damaged` when it finds its pages damaged,
    `Unreachable` when the connection breaks. Before `Finished` there is no backup.
    """
    check_version(connection)
    whole = False
    try:
        connection.send(options.command())
        yield _started(connection)
        yield from _stream(connection)
        end, timeline = (str(value) for value in connection.rows()[0])
        connection.end()
        whole = True
        yield Finished(Lsn(end).position, int(timeline))
    finally:
        if not whole:
            connection.close()


def _started(connection: Replication) -> Started:
    lsn, timeline = (str(value) for value in connection.rows()[0])
    spaces = tuple(
        Tablespace(None if oid is None else int(oid), location or "", 1024 * int(size or 0))
        for oid, location, size in connection.rows()
    )
    return Started(Lsn(lsn).position, int(timeline), spaces)


def _stream(connection: Replication) -> Iterator[Event]:
    held: list[memoryview] = []
    size = 0
    manifest: list[bytes] | None = None
    for message in connection.copy():
        kind = message[0]
        if kind == ord("d") and manifest is None:
            held.append(message[1:])
            size += len(message) - 1
            if size < PIECE:
                continue
        if held:
            yield Data(b"".join(held))
            held, size = [], 0
        if kind == ord("n"):
            name, location, _ = bytes(message[1:]).decode("utf-8", "surrogateescape").split("\0")
            yield Archive(name, location)
        elif kind == ord("p"):
            yield Progress(int.from_bytes(message[1:9], "big"))
        elif kind == ord("m"):
            manifest = []
        elif kind == ord("d") and manifest is not None:
            manifest.append(bytes(message[1:]))
        elif kind != ord("d"):
            raise CommandFailed(f"PostgreSQL sent a message that is not known: {kind:#x}")
    yield ManifestDone(b"".join(manifest or []))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
