"""The WAL inside a backup: all that recovery needs must be there, and be this cluster's."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from runbook.stream.segments import SEGMENT_SIZES, WalRange, segment_name

_SEGMENT = re.compile(r"[0-9A-F]{24}")
_LONG_HEADER = struct.Struct("<HHIQIxxxxQII")
_HAS_LONG_HEADER = 0x0002
HEADER_BYTES = _LONG_HEADER.size


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """The first page header of a WAL segment."""

    timeline: int
    address: int
    system_identifier: int
    segment_size: int

    @classmethod
    def parse(cls, raw: bytes) -> SegmentHeader | None:
        """Read the long page header; None if there is none."""
        if len(raw) < HEADER_BYTES:
            return None
        _, info, timeline, address, _, identifier, size, _ = _LONG_HEADER.unpack_from(raw)
        if not info & _HAS_LONG_HEADER or size not in SEGMENT_SIZES:
            return None
        return cls(timeline, address, identifier, size)


class WalFiles:
    """What was found in pg_wal."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._headers: dict[str, SegmentHeader | None] = {}

    def add(self, name: str, size: int, head: bytes) -> None:
        """Take note of one file; `head` is its first `HEADER_BYTES`."""
        if _SEGMENT.fullmatch(name):
            self._sizes[name] = size
            self._headers[name] = SegmentHeader.parse(head)

    @property
    def segment_size(self) -> int | None:
        """Bytes of a segment as most segments' headers say; None without WAL."""
        sizes = Counter(header.segment_size for header in self._headers.values() if header)
        return sizes.most_common(1)[0][0] if sizes else None

    def problems(self, ranges: Iterable[WalRange], system_identifier: int) -> list[str]:
        """List what keeps this WAL from making the backup consistent."""
        size = self.segment_size
        if size is None:
            return ["the backup holds no WAL, so it cannot be restored by itself"]
        found: list[str] = []
        for span in ranges:
            for name in span.segments(size):
                problem = self._problem(name, size, system_identifier)
                if problem:
                    found.append(f'"pg_wal/{name}" {problem} (needed: WAL of {span})')
        return found

    def _problem(self, name: str, size: int, system_identifier: int) -> str:
        if name not in self._sizes:
            return "is missing"
        if self._sizes[name] != size:
            return f"has {self._sizes[name]} bytes instead of {size}"
        header = self._headers[name]
        if header is None:
            return "does not begin with a WAL page header"
        if header.system_identifier != system_identifier:
            return f"belongs to the cluster with system identifier {header.system_identifier}"
        # A segment begun on one timeline and continued on the next keeps the old one in its
        # first page, so the header's timeline may be lower than the name's, not higher.
        position = segment_name(int(name[:8], 16), header.address // size, size)
        if header.address % size or position != name or header.timeline > int(name[:8], 16):
            return "holds WAL of another position: it is a recycled segment"
        return ""
