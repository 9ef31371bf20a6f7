"""The part of a long text that is in memory: it moves on, and keeps what is not yet told."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PIECE = 1 << 20
_AROUND = 128


class CutShort(Exception):
    """The text ended where more of it must follow."""


class Window:
    """A moving window over chunks of bytes of any size.

    `at` is where reading stands. What is between `mark` and `at` is told by `taken`, however long
    it has become; some bytes around `at` stay visible for tokens that lie across two chunks.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.text = b""
        self.at = 0
        self.line = 1
        self._chunks = chunks
        self._mark = 0
        self._kept: list[bytes] = []
        self._ended = False

    def more(self) -> bool:
        """Read on; False at the end of the text."""
        if self._ended:
            return False
        pieces, size = [], 0
        while size < _PIECE:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._ended = True
                break
            pieces.append(chunk)
            size += len(chunk)
        cut = max(self._mark, self.at - _AROUND)
        if cut > self._mark:
            self._kept.append(self.text[self._mark : cut])
        self.text = b"".join([self.text[cut:], *pieces])
        self.at -= cut
        self._mark = 0
        return bool(size)

    def mark(self) -> None:
        """Begin a stretch here."""
        self._mark = self.at
        self._kept.clear()

    def taken(self) -> bytes:
        """Give the stretch from the mark to here and begin the next; counts its lines."""
        stretch = b"".join([*self._kept, self.text[self._mark : self.at]])
        self.line += stretch.count(b"\n")
        self.mark()
        return stretch

    def move(self, to: int, lines: int) -> None:
        """Move to a place over so many lines that need not be told, and begin a stretch there."""
        self.at = to
        self.line += lines
        self.mark()

    def ahead(self, count: int) -> bytes:
        """Give the next bytes without moving; fewer at the end of the text."""
        while len(self.text) - self.at < count and self.more():
            pass
        return self.text[self.at : self.at + count]

    def behind(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        """Move behind the next match; CutShort when there is none."""
        while True:
            found = pattern.search(self.text, self.at)
            if found and (found.end() + _AROUND <= len(self.text) or self._ended):
                self.at = found.end()
                return found
            self.at = found.start() if found else max(self.at, len(self.text) - _AROUND)
            if not self.more() and not found:
                raise CutShort

    def skip(self, pattern: re.Pattern[bytes]) -> None:
        """Move over what matches here, and begin the next stretch behind it."""
        while True:
            found = pattern.match(self.text, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self.text) or not self.more():
                self.taken()
                return
