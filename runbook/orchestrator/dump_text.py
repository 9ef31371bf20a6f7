"""A plain dump as it passes by: whether it is whole, the tables it makes, the rows it brings."""

from __future__ import annotations

import re

_HEAD_BYTES = 4096
_TAIL_BYTES = 4096
_LONGEST_LINE = 1 << 16

_BEGINS = b"-- PostgreSQL database dump"
_ENDS = b"-- PostgreSQL database dump complete"
_RESTRICT = re.compile(rb"^\\restrict (\S+)\r?$", re.MULTILINE)
_CLIENT = re.compile(rb"^-- Dumped by pg_dump version (\d+)", re.MULTILINE)
_TABLE = re.compile(rb"^CREATE (?:UNLOGGED )?TABLE ", re.MULTILINE)
_NAME = rb'(?:"(?:[^"\n]|"")+"|[a-z_][a-z0-9_$]*)'
# Rows, or the body of a function as pg_dump begins it: neither are statements of the dump.
_STOP = re.compile(
    rb"^COPY (?:(?P<schema>%b)\.)?(?P<table>%b) (?:\(.*\) )?FROM stdin;$"
    rb"|^    AS (?P<body>\$[A-Za-z_]*\$)" % (_NAME, _NAME),
    re.MULTILINE,
)
_COMMENT = re.compile(rb"^COMMENT ON EXTENSION plpgsql ", re.MULTILINE)
_PATH = re.compile(rb"^SET search_path = (%b)" % _NAME, re.MULTILINE)
_LAST_ROW = b"\\.\n"


class DumpText:
    """Looks at the head, the tail, the tables and the rows of a dump; keeps nothing else of it."""

    def __init__(self) -> None:
        self.tables = 0
        self.comments_on_plpgsql = False
        """Whether it has what pg_dump 10 and older wrote, and a superuser alone may run."""
        self.rows: dict[str, int] = {}
        """Rows by table, its name as SQL writes it; of a dump with INSERT, nothing."""
        self._head = b""
        self._tail = b""
        self._line = b""
        self._schema = "public"
        self._copied = ""
        self._body = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._head += data[: max(0, _HEAD_BYTES - len(self._head))]
        self._tail = (self._tail + data)[-_TAIL_BYTES:]
        whole, line_end, rest = (self._line + data).rpartition(b"\n")
        text, at = whole + line_end, 0
        while at < len(text):
            look = self._in_rows if self._copied else self._in_statements
            at = (self._in_body if self._body else look)(text, at)
        self._line = rest if len(rest) < _LONGEST_LINE else b"-"

    @property
    def is_dump(self) -> bool:
        """Tell whether it begins as a plain dump of one database does."""
        return _BEGINS in self._head

    @property
    def is_restricted(self) -> bool:
        """Tell whether it begins with `\\restrict`, which psql before August 2025 does not know."""
        return _RESTRICT.search(self._head) is not None

    @property
    def tells_rows(self) -> bool:
        """Tell whether its rows were counted; those of INSERT are not."""
        return bool(self.rows) or not self.tables

    @property
    def client_major(self) -> int:
        """Give the major version of the pg_dump that wrote it; 0 where it does not say."""
        found = _CLIENT.search(self._head)
        return int(found[1]) if found else 0

    @property
    def is_whole(self) -> bool:
        """Tell whether its last words are there; a dump cut in a COPY would load without them."""
        if _ENDS not in self._tail:
            return False
        opened = _RESTRICT.search(self._head)
        return opened is None or b"\\unrestrict " + opened[1] in self._tail

    def _in_statements(self, text: bytes, at: int) -> int:
        """Look at statements up to the next rows, or body of a function; give where they begin."""
        found = _STOP.search(text, at)
        end = found.start() if found else len(text)
        self.comments_on_plpgsql |= _COMMENT.search(text, at, end) is not None
        self.tables += len(_TABLE.findall(text, at, end))
        for path in _PATH.findall(text, at, end):
            self._schema = path.decode()
        if found is None:
            return end
        if found["body"]:
            self._body = found["body"]
            return found.end()
        schema = (found["schema"] or self._schema.encode()).decode(errors="replace")
        self._copied = f"{schema}.{found['table'].decode(errors='replace')}"
        self.rows.setdefault(self._copied, 0)
        return found.end() + 1

    def _in_body(self, text: bytes, at: int) -> int:
        """Pass by the body of a function; give where it ends, or the text does."""
        found = text.find(self._body, at)
        if found < 0:
            return len(text)
        found, self._body = found + len(self._body), b""
        return found

    def _in_rows(self, text: bytes, at: int) -> int:
        """Count the rows of a COPY; give where they end, or the text does."""
        if text.startswith(_LAST_ROW, at):
            self._copied = ""
            return at + len(_LAST_ROW)
        last = text.find(b"\n" + _LAST_ROW, at)
        end = len(text) if last < 0 else last + 1
        self.rows[self._copied] += text.count(b"\n", at, end)
        return end
