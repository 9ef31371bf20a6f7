"""What a server says of itself, as values."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from runbook.errors import CommandFailed
from runbook.stream.segments import segment_of
from runbook.units import Lsn


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Tablespace(_Value):
    """A tablespace outside the data directory: its OID, its directory and its size in bytes."""

    oid: int
    name: str
    location: str
    size: int = 0


class Identity(_Value):
    """Which server this is: version, data directory, system identifier, role and timeline."""

    version: int
    version_text: str
    data_directory: str
    hba_file: str
    bin_directory: str
    system_identifier: str
    in_recovery: bool
    timeline: int
    wal_segment_size: int

    @property
    def major(self) -> int:
        """Give the major version."""
        return self.version // 10000


class ControlData(_Value):
    """The control file of a data directory, readable also when the server is stopped.

    `needed` is where recovery must come to before the data is consistent, 0/0 on a primary.
    `rewindable`: changes of hint bits are in the WAL, or pages have checksums. `segment_size`:
    bytes of a WAL file.
    """

    state: str
    system_identifier: str
    timeline: int
    checkpoint: Lsn
    needed: Lsn = Lsn(0)
    needed_timeline: int = 0
    rewindable: bool = False
    segment_size: int = 16 << 20
    major: int = 0

    def wal_file(self, timeline: int, position: Lsn) -> str:
        """Name the WAL file of a timeline that a position lies in."""
        return segment_of(timeline, position, self.segment_size)

    @property
    def newest_timeline(self) -> int:
        """Give the timeline that the data has come to: a promotion is first written as needed."""
        return max(self.timeline, self.needed_timeline)

    @property
    def cleanly_stopped(self) -> bool:
        """Tell whether the server wrote its shutdown checkpoint."""
        return self.state in ("shut down", "shut down in recovery")


def parse_controldata(text: str) -> ControlData:
    """Read the output of pg_controldata in the C locale."""
    rows = (line.partition(":") for line in text.splitlines())
    values = {name.strip(): value.strip() for name, _, value in rows}
    try:
        return ControlData(
            state=values["Database cluster state"],
            system_identifier=values["Database system identifier"],
            timeline=int(values["Latest checkpoint's TimeLineID"]),
            checkpoint=Lsn(values["Latest checkpoint location"]),
            needed=Lsn(values["Minimum recovery ending location"]),
            needed_timeline=int(values["Min recovery ending loc's timeline"]),
            segment_size=int(values["Bytes per WAL segment"]),
            rewindable=values["wal_log_hints setting"] == "on"
            or values["Data page checksum version"] != "0",
        )
    except (KeyError, ValueError) as error:
        raise CommandFailed(
            "pg_controldata gave an answer that cannot be read",
            detail=f"{error}: {text[:300]}",
            hint="Check that bin_directory holds the programs of the server's own major version.",
        ) from error
