"""A tar archive read as it arrives: pushed in as chunks, handed on as members.

ustar, GNU (long names, base-256 sizes) and pax. Refuses what is unsafe to unpack (see `tree`)
and notices an archive that was cut anywhere, the boundary between two members included.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from runbook.errors import Damaged
from runbook.stream.tar_header import (
    BLOCK,
    EXTENSIONS,
    Kind,
    Member,
    parse_header,
    parse_pax,
    text,
)
from runbook.stream.tree import Tree

_EXTENSION_LIMIT = 1 << 20
_ZEROS = bytes(BLOCK)


class Visitor(Protocol):
    """What is told about an archive, in order."""

    def member(self, member: Member) -> None:
        """Begin a member; its name is relative and safe."""

    def data(self, data: bytes) -> None:
        """Take a piece of the member's bytes."""

    def end(self) -> None:
        """End the member: all its bytes were given."""


class TarReader:
    """Push parser: `feed` chunks of any size, then `finish`.

    Raises `Damaged` for an archive that is not whole, `Refused` for an unsafe one, always
    before the visitor hears of the member at fault.
    """

    def __init__(self, name: str, visitor: Visitor) -> None:
        self._name = name
        self._visitor = visitor
        self._tree = Tree(name)
        self._held = bytearray()
        self._extension: Kind | None = None
        self._pax: dict[str, str] = {}
        self._pax_global: dict[str, str] = {}
        self._left = 0
        self._padding = 0
        self._zero_blocks = 0
        self._offset = 0

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes of the archive; feed 128 KiB or more at a time for speed."""
        at, end = 0, len(chunk)
        while at < end:
            if self._left:
                taken = self._data(chunk, at)
            elif self._padding:
                taken = min(self._padding, end - at)
                self._padding -= taken
            else:
                taken = self._header(chunk, at)
            at += taken
            self._offset += taken

    def finish(self) -> None:
        """Say that all bytes were fed; raises `Damaged` if the archive was cut."""
        if self._zero_blocks < 2 or self._held or self._left:
            raise self._damaged("It ends before its end-of-archive blocks: it was cut short.")

    def _damaged(self, detail: str) -> Damaged:
        return Damaged(
            f"archive {self._name} is damaged at byte {self._offset}",
            detail=detail,
            hint="Use another copy of this backup, or another backup.",
        )

    def _data(self, chunk: bytes, at: int) -> int:
        taken = min(self._left, len(chunk) - at)
        piece = chunk if taken == len(chunk) else chunk[at : at + taken]
        self._left -= taken
        if self._extension:
            self._held += piece
            if not self._left:
                self._extend(self._extension)
        else:
            self._visitor.data(piece)
            if not self._left:
                self._visitor.end()
        return taken

    def _header(self, chunk: bytes, at: int) -> int:
        taken = min(BLOCK - len(self._held), len(chunk) - at)
        if taken < BLOCK:
            self._held += chunk[at : at + taken]
            if len(self._held) < BLOCK:
                return taken
            block = bytes(self._held)
            self._held.clear()
        else:
            block = chunk[at : at + BLOCK]
        if block == _ZEROS:
            self._zero_blocks += 1
        elif self._zero_blocks:
            raise self._damaged("It has bytes that are not zero after an end-of-archive block.")
        else:
            self._begin(self._parsed(block))
        return taken

    def _parsed(self, block: bytes) -> Member:
        try:
            return parse_header(block)
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def _begin(self, raw: Member) -> None:
        if raw.kind in EXTENSIONS:
            if not 0 < raw.size <= _EXTENSION_LIMIT:
                raise self._damaged(f"A {raw.kind} of {raw.size} bytes.")
            self._extension = raw.kind
            self._expect(raw.size)
            return
        member = self._tree.admit(self._extended(raw))
        self._expect(member.size)
        self._visitor.member(member)
        if not self._left:
            self._visitor.end()

    def _expect(self, size: int) -> None:
        self._left = size
        self._padding = -size % BLOCK

    def _extend(self, kind: Kind) -> None:
        payload = bytes(self._held)
        self._held.clear()
        self._extension = None
        if kind is Kind.LONG_NAME:
            self._pax["path"] = text(payload)
        elif kind is Kind.LONG_LINK:
            self._pax["linkpath"] = text(payload)
        elif kind is Kind.PAX:
            self._pax |= self._records(payload)
        else:
            self._pax_global |= self._records(payload)

    def _records(self, payload: bytes) -> dict[str, str]:
        try:
            return parse_pax(payload)
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def _extended(self, raw: Member) -> Member:
        records = self._pax_global | self._pax
        self._pax = {}
        if any(key.startswith("GNU.sparse.") for key in records):
            return replace(raw, kind=Kind.SPARSE)
        size = records.get("size", str(raw.size))
        if not size.isdecimal() or int(size) >= 1 << 63:
            raise self._damaged(f"A pax header gives the size {size!r}.")
        name = records.get("path", raw.name)
        kind = raw.kind
        if kind is Kind.FILE and name.endswith("/"):
            kind = Kind.DIRECTORY
        target = records.get("linkpath", raw.target)
        return Member(name, kind, int(size), raw.mode, target)
