"""What a base backup tells while it runs, in this order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tablespace:
    """One part of the backup; `oid` is None for the data directory; `size` estimated bytes."""

    oid: int | None
    location: str
    size: int


@dataclass(frozen=True)
class Started:
    """The checkpoint is done and data begins to flow."""

    start_lsn: int
    timeline: int
    tablespaces: tuple[Tablespace, ...]

    @property
    def size(self) -> int:
        """Estimated bytes before compression."""
        return sum(space.size for space in self.tablespaces)


@dataclass(frozen=True)
class Archive:
    """A new archive begins; `name` has the suffix of its compression."""

    name: str
    location: str


@dataclass(frozen=True, slots=True)
class Data:
    """The next bytes of the archive."""

    data: bytes


@dataclass(frozen=True)
class Progress:
    """Bytes the server has read so far, before compression."""

    done: int


@dataclass(frozen=True)
class ManifestDone:
    """The whole backup_manifest."""

    raw: bytes


@dataclass(frozen=True)
class Finished:
    """The server is done; WAL up to `end_lsn` was included."""

    end_lsn: int
    timeline: int


Event = Started | Archive | Data | Progress | ManifestDone | Finished
