"""The text of a dump, taken apart as psql takes it apart: one pass, memory bounded.

Rows of COPY are never looked at one by one: the end is found by `bytes.find`, rows are counted by
`bytes.count`.
Ref.: psql's psqlscan.l; https://www.postgresql.org/docs/current/sql-syntax-lexical.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from runbook.logical.load.errors import DumpRefused, shortened
from runbook.logical.load.events import (
    Comment,
    CopyBegin,
    CopyEnd,
    CopyRows,
    Event,
    MetaCommand,
    Statement,
)
from runbook.logical.load.window import CutShort, Window
from runbook.logical.load.words import IDENTIFIER, QUALIFIED

_BLANK = re.compile(rb"\s*")
_LINE = re.compile(rb"\n|\Z")
_COMMENT_END = re.compile(rb"[\r\n]|\Z")
_NAME_BYTE = rb"\w$\x80-\xff"
_TOKEN = (
    rb"['\"();\\]|--|/\*"
    rb"|(?<![" + _NAME_BYTE + rb"])\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$"
)
_WORD = rb"|(?<![" + _NAME_BYTE + rb"])(?:BEGIN|CASE|END)(?![" + _NAME_BYTE + rb"])"
_PLAIN = re.compile(_TOKEN)
_ROUTINE = re.compile(_TOKEN + _WORD, re.IGNORECASE)
_IS_ROUTINE = re.compile(rb"CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\s", re.IGNORECASE)
_STRING = re.compile(rb"''|'")
_ESCAPED = re.compile(rb"\\.|''|'", re.DOTALL)
_NAME = re.compile(rb'""|"')
_BLOCK = re.compile(rb"/\*|\*/")
_ESCAPING = re.compile(rb"(?:\A|[^" + _NAME_BYTE + rb"])[eE]\Z")
_CONFORMING = re.compile(rb"SET standard_conforming_strings = '?(on|off)\b")
# A string that goes on in another line is of the kind that it began as.
_CONTINUED = re.compile(
    rb"[ \t\f\v]*(?:--[^\r\n]*)?[\r\n](?:\s|--[^\r\n]*[\r\n])*'",
)
_GAP = 4096
_COPY = re.compile(
    rb"COPY (" + QUALIFIED + rb")"
    rb"(?: \(" + IDENTIFIER + rb"(?:, " + IDENTIFIER + rb")*\)| )? FROM stdin;"
)
_END = b"\n\\.\n"
_LONG = 1 << 20


def scan(chunks: Iterator[bytes]) -> Iterator[Event]:
    """Take the text of a dump apart; DumpRefused where it is cut or psql would do more than SQL."""
    return _Scanner(Window(chunks)).events()


class _Scanner:
    def __init__(self, window: Window) -> None:
        self._window = window
        self._conforming = True

    def events(self) -> Iterator[Event]:
        window = self._window
        while True:
            window.skip(_BLANK)
            head = window.ahead(2)
            if not head:
                return
            line = window.line
            if head == b"--":
                yield Comment(self._behind_line(_COMMENT_END), line)
            elif head[:1] == b"\\":
                command = self._behind_line(_LINE)
                self._conforming = self._conforming or command.startswith(b"\\connect")
                yield MetaCommand(command, line)
            else:
                yield from self._statement(line)

    def _behind_line(self, end: re.Pattern[bytes]) -> bytes:
        self._window.behind(end)
        return self._window.taken().rstrip()

    def _statement(self, line: int) -> Iterator[Event]:
        try:
            self._behind_statement()
        except CutShort:
            raise _cut(f"statement of line {line}", self._window.taken()) from None
        text = self._window.taken()
        if text[:4].upper() == b"COPY":
            yield from self._copy(text, line)
            return
        if said := _CONFORMING.match(text):
            self._conforming = said[1] == b"on"
        yield Statement(text, line)

    def _behind_statement(self) -> None:
        """Move behind the semicolon that ends a statement, as psql finds it."""
        window = self._window
        pattern = _ROUTINE if _IS_ROUTINE.match(window.ahead(64)) else _PLAIN
        parentheses = begun = 0
        while True:
            token = window.behind(pattern)[0]
            match token[:1]:
                case b";" if parentheses == 0 and begun == 0:
                    return
                case b"(" | b")":
                    parentheses = max(0, parentheses + (1 if token == b"(" else -1))
                case b"'" | b'"' | b"$" | b"-" | b"/":
                    self._behind_quoted(token)
                case b"\\":
                    raise self._refused("a psql command within a statement")
                case _ if parentheses == 0 and token != b";":
                    begun += _step(token.upper(), begun)

    def _behind_quoted(self, token: bytes) -> None:
        """Move behind what is no code: a string, a name, a comment."""
        window = self._window
        if token == b"'":
            before = window.text[max(0, window.at - 3) : window.at - 1]
            if self._conforming and not _ESCAPING.search(before):
                self._behind_string(_STRING)
            else:
                self._behind_string(_ESCAPED)
                while found := _CONTINUED.match(window.ahead(_GAP)):
                    window.at += found.end()
                    self._behind_string(_ESCAPED)
        elif token == b'"':
            while window.behind(_NAME)[0] != b'"':
                pass
        elif token == b"--":
            window.behind(_COMMENT_END)
        elif token == b"/*":
            depth = 1
            while depth:
                depth += 1 if window.behind(_BLOCK)[0] == b"/*" else -1
        else:
            window.behind(re.compile(re.escape(token)))

    def _behind_string(self, pattern: re.Pattern[bytes]) -> None:
        while self._window.behind(pattern)[0] != b"'":
            pass

    def _copy(self, text: bytes, line: int) -> Iterator[Event]:
        form = _COPY.fullmatch(text)
        if form is None or self._window.ahead(1) != b"\n":
            raise DumpRefused(
                f"line {line} of the dump is no COPY as pg_dump writes it",
                detail=shortened(text),
                hint="COPY with a file or a program may not run. Find out who wrote this dump.",
            )
        self._window.move(self._window.at + 1, 1)
        yield CopyBegin(text, form[1].decode(errors="replace"), line)
        yield from self._rows(text, line)
        yield CopyEnd(self._window.line)

    def _rows(self, copy: bytes, line: int) -> Iterator[Event]:
        window = self._window
        at_row = True
        while not (at_row and window.ahead(3) == b"\\.\n"):
            text, start = window.text, window.at
            end = text.find(_END, start)
            end = (end if end >= 0 else text.rfind(b"\n", start)) + 1
            if not end and len(text) - start < _LONG:
                if window.more():
                    continue
                raise _cut(f"rows of the COPY of line {line}", copy)
            end = end or len(text)
            at_row = text[end - 1] == 0x0A
            rows = text.count(b"\n", start, end)
            window.move(end, rows)
            yield CopyRows(memoryview(text)[start:end], rows, at_row)
        window.move(window.at + 3, 1)

    def _refused(self, what: str) -> DumpRefused:
        line = self._window.line
        return DumpRefused(
            f"the dump has {what} that begins in line {line}",
            detail=shortened(self._window.taken()),
            hint="pg_dumpall writes no such thing. Find out who wrote this dump.",
        )


def _cut(where: str, text: bytes) -> DumpRefused:
    return DumpRefused(
        f"the dump is cut in the {where}",
        detail=shortened(text),
        hint="Take another backup; this one lacks its end.",
    )


def _step(word: bytes, begun: int) -> int:
    """Count BEGIN ATOMIC ... END of a routine's body, CASE ... END within it."""
    if word == b"BEGIN":
        return 1
    if word == b"CASE":
        return 1 if begun else 0
    return -1 if begun else 0
