"""Archives of an Orchestrator: whole ones are read, and no cut or changed one passes."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runbook.errors import Damaged
from runbook.orchestrator.archive import Contents, Passing, read_through
from runbook.orchestrator.dump_header import client_major
from runbook.orchestrator.dump_text import DumpText
from runbook.orchestrator.hush import hushed

DUMP = (
    b"--\n-- PostgreSQL database dump\n--\n\n\\restrict Key1\n\nCREATE TABLE public.nodes (\n);\n"
    + b"CREATE UNLOGGED TABLE x ();\n" * 2
    + b"COPY public.nodes FROM stdin;\nCREATE_TABLE\tCREATE TABLE y\n\\.\n"
    + b"--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict Key1\n\n"
)
FILES = {"release": b"2.4.0\n", "sub/orchestrator.sql": DUMP, "cluster.conf": b"chef: {}\n"}


def packed(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


WHOLE = packed(FILES)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def read(data: bytes, size: int = 1000) -> Contents:
    return read_through(Passing(pieces(data, size)))


@pytest.mark.parametrize("size", [1, 7, 100000])
def test_a_whole_archive_is_read_and_summed_in_pieces_of_any_size(size: int) -> None:
    passing = Passing(pieces(WHOLE, size))
    contents = read_through(passing)
    assert (passing.size, passing.sha256) == (len(WHOLE), hashlib.sha256(WHOLE).hexdigest())
    assert [member.name for member in contents.members] == list(FILES)
    assert contents.release == "2.4.0"
    assert contents.configuration("/home/orchestrator/cluster.conf") == "cluster.conf"
    (text,) = contents.plain.values()
    assert (text.is_whole, text.tables) == (True, 3)


@given(st.integers(min_value=0, max_value=len(WHOLE) - 1))
@settings(deadline=None)
def test_an_archive_that_is_cut_anywhere_is_refused(at: int) -> None:
    with pytest.raises(Damaged):
        read(WHOLE[:at])


@given(st.integers(min_value=10, max_value=len(WHOLE) - 1), st.integers(min_value=1, max_value=255))
@example(at=len(WHOLE) - 9, by=0x80)
@settings(deadline=None)
def test_a_byte_that_has_changed_after_the_head_is_found_or_changes_nothing(
    at: int, by: int
) -> None:
    """gzip leaves bits that nobody reads: those that fill up the last byte before its sums."""
    changed = bytearray(WHOLE)
    changed[at] ^= by
    try:
        contents = read(bytes(changed))
    except Damaged:
        return
    assert gzip.decompress(changed) == gzip.decompress(WHOLE)
    assert contents.members == read(WHOLE).members


@given(st.integers(min_value=0, max_value=len(gzip.decompress(WHOLE)) - 1))
@settings(deadline=None)
def test_a_tar_that_was_cut_before_it_was_packed_has_no_end(at: int) -> None:
    tar = gzip.decompress(WHOLE)
    last = len(tar.rstrip(b"\0"))
    cut = gzip.compress(tar[: min(at, last + 500)])
    with pytest.raises(Damaged):
        read(cut)


@given(st.integers(min_value=1, max_value=len(DUMP)), st.integers(min_value=1, max_value=400))
def test_a_dump_is_whole_only_with_its_last_words(cut: int, size: int) -> None:
    text = DumpText()
    for piece in pieces(DUMP[:-cut], size):
        text.feed(piece)
    assert text.is_whole == (cut <= len(b"\n\n"))


ROWS = (
    b"SET search_path = old, pg_catalog;\nCOPY nodes (a) FROM stdin;\n1\n2\n\\.\n"
    b'COPY public."Odd ""Name"" (x" FROM stdin;\nCREATE TABLE z\n\\.x\n\\.\n'
    b"CREATE TABLE public.t (a int);\nCOPY public.t (a, b) FROM stdin;\n\\.\n"
    b"COPY public.long (a) FROM stdin;\n" + b"x" * 200_000 + b"\n\\.\n"
    b"COPY old.nodes (a) FROM stdin;\n3\n\\.\n"
)


@pytest.mark.parametrize("size", [1, 2, 7, 1000, 300_000])
def test_rows_are_counted_by_table_in_pieces_of_any_size(size: int) -> None:
    text = DumpText()
    for piece in pieces(ROWS, size):
        text.feed(piece)
    assert text.rows == {
        "old.nodes": 3,
        'public."Odd ""Name"" (x"': 2,
        "public.t": 0,
        "public.long": 1,
    }
    assert text.tables == 1


BODY = (
    b"CREATE FUNCTION public.f() RETURNS void\n    LANGUAGE plpgsql\n    AS $_$\nBEGIN\n"
    b"COPY x FROM stdin;\nCREATE TABLE y (n int);\nSET search_path = z;\n-- $$\nEND\n$_$;\n"
    b"CREATE FUNCTION public.g() RETURNS text\n    LANGUAGE sql\n    AS $$ SELECT 'x' $$;\n"
    b"COMMENT ON FUNCTION public.g() IS 'costs $$';\n"
    b"CREATE TABLE public.t (n int);\nCOPY public.t (n) FROM stdin;\n1\n    AS $$\n\\.\n"
    b"CREATE TABLE public.u (n int);\n"
)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_the_body_of_a_function_makes_no_table_and_brings_no_rows(size: int) -> None:
    text = DumpText()
    for piece in pieces(BODY, size):
        text.feed(piece)
    assert (text.rows, text.tables) == ({"public.t": 2}, 2)
    assert text.tells_rows


def test_a_dump_with_insert_tells_no_rows() -> None:
    text = DumpText()
    text.feed(b"CREATE TABLE public.t (n int);\nINSERT INTO public.t VALUES (1);\n")
    assert not text.tells_rows
    assert DumpText().tells_rows, "where there is no table, there is nothing to tell"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_dump_tells_what_an_older_psql_or_a_plain_role_cannot_run(size: int) -> None:
    text = DumpText()
    comment = b"COMMENT ON EXTENSION plpgsql IS 'PL/pgSQL procedural language';\n"
    for piece in pieces(DUMP + comment, size):
        text.feed(piece)
    assert text.is_restricted
    assert text.comments_on_plpgsql
    text = DumpText()
    text.feed(DUMP.replace(b"restrict Key1", b"") + b"COPY x FROM stdin;\n" + comment + b"\\.\n")
    assert not text.is_restricted
    assert not text.comments_on_plpgsql


HEADS = {
    "of 15": b"PGDMP\x01\x0e\x00\x04\x08\x01" + b"\x01\x01\0\0\0" + b"\0" * 35,
    "of 17": b"PGDMP\x01\x10\x00\x04\x08\x01" + b"\x01" + b"\0" * 35,
}


@pytest.mark.parametrize("case", HEADS)
def test_a_dump_of_the_custom_format_tells_which_pg_dump_has_written_it(case: str) -> None:
    texts = (b"orchestrator", b"9.6.1", b"17.2 (Debian)")
    lengths = [b"\0" + len(text).to_bytes(4, "little") + text for text in texts]
    head = HEADS[case] + b"".join(lengths)
    assert client_major(head + b"rest") == 17
    contents = read(packed({**FILES, "dump": head}))
    assert contents.client_major("dump") == 17
    assert contents.client_major("sub/orchestrator.sql") == 0
    assert client_major(head[:20]) == 0
    assert client_major(b"PGDMP") == 0


def test_a_configuration_that_is_missing_or_empty_is_told_without_any_content() -> None:
    for files in ({**FILES, "cluster.conf": b""}, {"release": b"s3cret"}):
        with pytest.raises(Damaged) as told:
            read(packed(files)).configuration("/x/cluster.conf")
        assert "s3cret" not in str(told.value)


def test_values_under_the_names_of_secrets_are_hushed_and_others_are_not() -> None:
    configuration = '{ "secret_key": "abc-1", password=\'p w 2\'; token: tok3, bucket: "shown" }'
    said = "bad line: abc-1 and p w 2 and tok3 in shown"
    assert hushed(said, configuration) == "bad line: *** and *** and *** in shown"
