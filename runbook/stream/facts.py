"""What a backup says about itself: label, tablespaces, identity, WAL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runbook.errors import Damaged
from runbook.units import Lsn

BACKUP_LABEL = "backup_label"
TABLESPACE_MAP = "tablespace_map"
PG_CONTROL = "global/pg_control"
PG_VERSION = "PG_VERSION"
IDENTIFIER_BYTES = 8


@dataclass(frozen=True)
class BackupLabel:
    """The file that tells recovery where to begin.

    Ref.: https://www.postgresql.org/docs/current/continuous-archiving.html
    """

    start_lsn: int
    start_segment: str
    timeline: int
    label: str
    start_time: str
    from_standby: bool
    incremental: bool

    @classmethod
    def parse(cls, raw: bytes) -> BackupLabel:
        """Read backup_label; raises `Damaged`."""
        lines = dict(
            line.split(": ", 1)
            for line in raw.decode("utf-8", "surrogateescape").splitlines()
            if ": " in line
        )
        try:
            start = re.fullmatch(
                r"(\S+) \(file ([0-9A-F]{24})\)", lines.get("START WAL LOCATION", "")
            )
            if start is None:
                raise ValueError("no START WAL LOCATION")
            return cls(
                start_lsn=Lsn(start[1]).position,
                start_segment=start[2],
                timeline=int(lines["START TIMELINE"]),
                label=lines.get("LABEL", ""),
                start_time=lines.get("START TIME", ""),
                from_standby=lines.get("BACKUP FROM", "primary") == "standby",
                incremental="INCREMENTAL FROM LSN" in lines,
            )
        except (KeyError, ValueError) as error:
            raise Damaged(
                "backup_label cannot be read",
                detail=str(error),
                hint="Never delete backup_label to make a server start: that corrupts silently.",
            ) from error


def parse_tablespace_map(raw: bytes) -> dict[int, str]:
    """Read tablespace_map as oid -> directory on the source host; raises `Damaged`."""
    spaces: dict[int, str] = {}
    text = raw.decode("utf-8", "surrogateescape")
    for line in re.findall(r"((?:\\.|[^\\\n])+)\n", text, re.DOTALL):
        oid, space, path = line.partition(" ")
        if not oid.isdecimal() or not space or int(oid) in spaces:
            raise Damaged("tablespace_map cannot be read", detail=repr(line))
        spaces[int(oid)] = re.sub(r"\\(.)", r"\1", path, flags=re.DOTALL)
    return spaces


@dataclass(frozen=True)
class BackupFacts:
    """A verified backup, as far as its own bytes tell; sizes in bytes."""

    system_identifier: int
    major_version: str
    label: BackupLabel
    tablespaces: Mapping[int, str]
    files: int
    size: int
    wal_segment_size: int | None
    self_contained: bool
    manifest_checksum: str

    @property
    def timeline(self) -> int:
        """The timeline the backup began on."""
        return self.label.timeline
