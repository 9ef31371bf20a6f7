"""A dump is taken apart as psql takes it apart, however its bytes arrive."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook.logical.load import window
from runbook.logical.load.errors import DumpRefused
from runbook.logical.load.events import (
    Comment,
    CopyBegin,
    CopyEnd,
    CopyRows,
    Event,
    MetaCommand,
    Statement,
)
from runbook.logical.load.scanner import scan

_RICH = rb"""-- a comment; with 'quote
SELECT 'a;b', 'it''s', E'\';', "a""; ", $$;'$$, $x$ $$; $x$, e'\\'; -- behind ; '
CREATE RULE r AS ON DELETE TO t DO INSTEAD (SELECT 1; SELECT 2;);
CREATE FUNCTION f(a$b$c text) RETURNS int BEGIN ATOMIC
 SELECT CASE WHEN true THEN 'END;' ELSE 2 END; SELECT 3 /* ; /* nested; */ END; */;
END;
COPY public.t (a, "b c") FROM stdin;
1	x;
\\.	--
\.
COPY public.none  FROM stdin;
\.
\connect other
SET standard_conforming_strings = off;
SELECT 'a\';', 1;
SET standard_conforming_strings = on;
SELECT 'a\', 2;
"""


def _pieces(text: bytes, size: int) -> Iterator[bytes]:
    return (text[start : start + size] for start in range(0, len(text), size))


def _events(chunks: Iterator[bytes]) -> list[Event | bytes]:
    """Give all events, the rows of one COPY joined."""
    found: list[Event | bytes] = []
    for event in scan(chunks):
        if not isinstance(event, CopyRows):
            found.append(event)
        elif isinstance(found[-1], bytes):
            found[-1] += bytes(event.data)
        else:
            found.append(bytes(event.data))
    return found


def _statements(text: bytes) -> list[bytes]:
    return [event.text for event in scan(iter([text])) if isinstance(event, Statement)]


def test_every_statement_ends_where_psql_ends_it() -> None:
    events = _events(iter([_RICH]))
    kinds = [type(event) for event in events]
    assert kinds[:5] == [Comment, Statement, Comment, Statement, Statement]
    assert kinds[5:8] == [CopyBegin, bytes, CopyEnd]
    assert kinds[8:] == [CopyBegin, CopyEnd, MetaCommand, *[Statement] * 4]
    assert events[6] == b"1\tx;\n\\\\.\t--\n"
    assert [event.text for event in events[-3:] if isinstance(event, Statement)] == [
        rb"SELECT 'a\';', 1;",
        b"SET standard_conforming_strings = on;",
        rb"SELECT 'a\', 2;",
    ]


@pytest.mark.parametrize(
    "first",
    [
        b"SELECT 'a' -- it's\r;",
        b"SELECT E'a' \n\t-- it's\n 'b\\';';",
        b"SELECT E'a' " + b"-" * 200 + b"'\n, 1;",
        b"SET standard_conforming_strings = off;",
    ],
)
def test_strings_and_comments_end_where_postgresql_ends_them(first: bytes) -> None:
    rest = [b"SELECT 'a\\';", b"SELECT 2;"]
    text = b"\n".join([first, b"\\connect shop", *rest, b""])
    for size in (1, len(text)):
        found = _events(_pieces(text, size))
        assert [each.text for each in found if isinstance(each, Statement)] == [first, *rest]


def test_every_event_knows_its_line() -> None:
    lines = _RICH.splitlines()
    for event in _events(iter([_RICH])):
        if isinstance(event, bytes | CopyEnd):
            continue
        first = event.text.splitlines()[0]
        assert lines[event.line - 1].lstrip().startswith(first) or first in lines[event.line - 1]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 40, 127, 129, 500])
def test_it_does_not_matter_how_the_bytes_arrive(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _events(iter([_RICH]))
    monkeypatch.setattr(window, "_PIECE", 1)
    assert _events(_pieces(_RICH, size)) == whole


_CELL = st.binary(max_size=6).map(
    lambda raw: raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\t", b"\\t")
)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(_CELL, max_size=20), size=st.integers(1, 60))
def test_rows_come_out_as_they_went_in_and_are_counted(rows: list[bytes], size: int) -> None:
    data = b"".join(row + b"\n" for row in rows)
    text = b"COPY public.t (a) FROM stdin;\n" + data + b"\\.\nSELECT 1;"
    before = window._PIECE
    window._PIECE = size
    try:
        events = list(scan(_pieces(text, size)))
    finally:
        window._PIECE = before
    assert b"".join(bytes(e.data) for e in events if isinstance(e, CopyRows)) == data
    assert sum(e.rows for e in events if isinstance(e, CopyRows)) == len(rows)
    assert events[-1] == Statement(b"SELECT 1;", 3 + len(rows))


_WORD = st.sampled_from(
    [b"'it''s;'", b"E'\\';'", b'"a;"', b"$$;$$", b"$q$'$$;$q$", b"(1;2)", b"x", b"a$b$", b"/*;*/",
     b"--;\n", b" ", b"\n", b"1", b"=", b"CASE", b"END"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(statements=st.lists(st.lists(_WORD, max_size=8), min_size=1, max_size=5))
def test_statements_of_any_words_are_told_apart(statements: list[list[bytes]]) -> None:
    texts = [b"SELECT " + b" ".join(words) + b";" for words in statements]
    assert _statements(b"\n".join(texts)) == texts


def test_a_row_longer_than_what_is_held_in_memory_passes_in_pieces() -> None:
    row = b"x" * (5 << 20)
    text = b"COPY public.t (a) FROM stdin;\n" + row + b"\n" + row + b"\n\\.\n"
    rows = [event for event in scan(_pieces(text, 1 << 16)) if isinstance(event, CopyRows)]
    assert max(len(each.data) for each in rows) < 3 << 20
    assert sum(each.rows for each in rows) == 2
    assert b"".join(bytes(each.data) for each in rows) == row + b"\n" + row + b"\n"


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT 1",
        b"SELECT 'a;",
        b'SELECT "a;',
        b"SELECT $$;",
        b"SELECT /* ;",
        b"SELECT 1 -- ;",
        b"SELECT (1;",
        b"COPY public.t (a) FROM stdin;\n",
        b"COPY public.t (a) FROM stdin;\n1\n",
        b"COPY public.t (a) FROM stdin;\n1\n\\.",
        b"COPY public.t (a) FROM stdin;\n1\\.\n",
        b"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;",
    ],
)
def test_a_text_that_ends_too_early_is_refused(text: bytes) -> None:
    with pytest.raises(DumpRefused, match="the dump is cut"):
        list(scan(iter([text])))


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT 1 \\gexec\n;",
        b"SELECT 1 \\g |sh\n;",
        b"COPY public.t FROM PROGRAM 'id';\n",
        b"COPY public.t (a) FROM '/etc/passwd';\n",
        b"COPY public.t TO '/tmp/x';\n",
        b"copy public.t (a) FROM stdin;\n\\.\n",
        b"COPY (SELECT 1) TO PROGRAM 'id';\n",
        b"COPY public.t (a) FROM PROGRAM 'id' (b) FROM stdin;\n\\.\n",
        b"COPY public.t (a) FROM stdin; \\! id\n\\.\n",
    ],
)
def test_what_psql_would_do_beside_sql_is_refused(text: bytes) -> None:
    with pytest.raises(DumpRefused):
        list(scan(iter([text])))
