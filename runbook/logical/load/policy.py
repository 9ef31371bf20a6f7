"""What of a dump may run: decided for the whole of it before anything is loaded.

Let through is what pg_dumpall writes, by the first words of a statement. A dump is still code of a
superuser: what the functions, triggers and index expressions in it do when they are called cannot
be judged here. Refused are:
- psql's commands, but for `\\connect` of a database, the `\\encoding SQL_ASCII` before it, and
  `\\restrict`/`\\unrestrict` with one token;
- other settings of how strings are read than pg_dump makes, which the scanner follows;
- COPY in any form but `COPY table (columns) FROM stdin` (the scanner's part);
- DO, LOAD, CALL, ALTER SYSTEM, CREATE LANGUAGE (languages come with extensions);
- SELECT, but for set_config of search_path, setval and large objects, with plain values;
- C functions from a path outside of $libdir, foreign tables read from a program;
- functions that reach the server's files or other servers, where rows are made by calling them;
- subscriptions that connect at once;
- DROP DATABASE and DROP ROLE, as pg_dumpall --clean writes them: what exists is never dropped;
- encodings of clients in which a byte of a letter can look like a quote or a backslash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from runbook.logical.load.errors import DumpRefused, shortened
from runbook.logical.load.events import Comment, Event, MetaCommand, Statement
from runbook.logical.load.words import QUALIFIED, WITHOUT_QUOTED, connected_to

HEADER = b"-- PostgreSQL database cluster dump"
FOOTER = b"-- PostgreSQL database cluster dump complete"
SECTION = b"-- PostgreSQL database dump"
SECTION_END = b"-- PostgreSQL database dump complete"

_VALUE = rb"(?:'(?:[^']|'')*'|E'(?:[^'\\]|\\.|'')*'|-?\d+|true|false)(?:::[a-z ]+)?"
_VALUES = _VALUE + rb"(?:, ?" + _VALUE + rb")*"
_KINDS = (
    rb"ACCESS METHOD|AGGREGATE|CAST|COLLATION|CONVERSION|DATABASE|DOMAIN|EVENT TRIGGER|EXTENSION"
    rb"|FOREIGN DATA WRAPPER|FOREIGN TABLE|FUNCTION|INDEX|MATERIALIZED VIEW|OPERATOR|POLICY"
    rb"|PROCEDURE|PUBLICATION|ROLE|RULE|SCHEMA|SEQUENCE|SERVER|STATISTICS|SUBSCRIPTION|TABLE"
    rb"|TABLESPACE|TEXT SEARCH|TRANSFORM|TRIGGER|TYPE|USER MAPPING|VIEW"
)
_LET_THROUGH = re.compile(
    rb"(?:BEGIN;|COMMIT;"
    rb"|SET (?!(?i:client_encoding|standard_conforming_strings))[\w.]+ (?:=|TO) "
    rb"|SET SESSION AUTHORIZATION |RESET SESSION AUTHORIZATION;"
    rb"|SET standard_conforming_strings = '?(?:on|off)'?;"
    rb"|SET client_encoding = '(?!SJIS|BIG5|GBK|UHC|GB18030|JOHAB|SHIFT_JIS)\w+';"
    rb"|SELECT pg_catalog\.set_config\('search_path', '(?:[^']|'')*', false\);"
    rb"|SELECT pg_catalog\.(?:setval|lo_create|lo_open|lo_close|lo_unlink|lowrite"
    rb"|lo_from_bytea)\(" + _VALUES + rb"\);"
    rb"|CREATE (?:OR REPLACE |UNIQUE |UNLOGGED |CONSTRAINT |DEFAULT )?(?:" + _KINDS + rb") "
    rb"|ALTER (?:" + _KINDS + rb"|DEFAULT PRIVILEGES|LARGE OBJECT|LANGUAGE|ROUTINE"
    rb"|PROCEDURAL LANGUAGE) "
    rb"|DROP (?:" + _KINDS.replace(b"|DATABASE", b"").replace(b"|ROLE", b"") + rb") "
    rb"|COMMENT ON |GRANT |REVOKE |SECURITY LABEL "
    rb"|REFRESH MATERIALIZED VIEW |INSERT INTO |UPDATE pg_catalog\.pg_database SET )",
    re.DOTALL,
)
_FILES = re.compile(
    rb"\b(?:pg_read_file|pg_read_binary_file|pg_ls_\w+|pg_stat_file|lo_import|lo_export"
    rb"|pg_file_\w+|dblink\w*)\b",
    re.IGNORECASE,
)
_CALL = re.compile(_FILES.pattern + rb"\"?\s*\(", re.IGNORECASE)
# Anything else may name such functions, and objects that are named like them.
_RUNS_NOW = re.compile(
    rb"INSERT INTO " + QUALIFIED + rb"(?: \([^()]*\))?|UPDATE "
    rb"|CREATE MATERIALIZED VIEW (?!.*\sWITH NO DATA;\Z)|CREATE (?:UNLOGGED )?TABLE "
    rb"(?=.*(?<!ALWAYS)[\s)\"]AS\s*(?:SELECT|WITH|TABLE|VALUES|EXECUTE|\())",
    re.IGNORECASE | re.DOTALL,
)
_FOREIGN_CODE = re.compile(
    rb"(?s:CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) .*\bLANGUAGE c\b"
    rb".*AS '(?!\$libdir/[\w/-]+')[^']*/)"
    rb"|(?s:(?:CREATE|ALTER) (?:FOREIGN TABLE|SERVER) .*\bprogram ')"
    rb"|(?s:CREATE SUBSCRIPTION (?!.*\bconnect = false))",
    re.IGNORECASE,
)
_TOKEN = re.compile(rb"\\(un)?restrict ([A-Za-z0-9]+)")
_ENCODING = rb"\encoding SQL_ASCII"
"""Stands before a \\connect of an odd name: psql reads the name as bytes."""


def judged(events: Iterator[Event]) -> Iterator[Event]:
    """Let events through; DumpRefused at the first that may not run, or when the end lacks."""
    judge = _Judge()
    for event in events:
        match event:
            case Statement():
                judge.statement(event)
            case MetaCommand():
                judge.meta_command(event)
            case Comment():
                judge.comment(event)
        yield event
    judge.end()


class _Judge:
    def __init__(self) -> None:
        self._token = b""
        self._begun = False
        self._section = 0
        self._footer = 0
        self._closed = False

    def statement(self, statement: Statement) -> None:
        text = statement.text
        self._in_between(statement)
        if not _LET_THROUGH.match(text) or b"\0" in text:
            raise _refused(statement, "a statement that pg_dumpall does not write")
        if _FOREIGN_CODE.match(text):
            raise _refused(statement, "a statement that brings code from elsewhere")
        if _FILES.search(text) and _calls_files(WITHOUT_QUOTED.sub(b" ", text)):
            raise _refused(statement, "a statement that reaches the server's files")

    def meta_command(self, command: MetaCommand) -> None:
        self._in_between(command)
        said = _TOKEN.fullmatch(command.text)
        if said and not said[1] and not self._token:
            self._token = said[2]
        elif said and said[1] and said[2] == self._token:
            self._token = b""
        elif self._token or not (command.text == _ENCODING or connected_to(command.text)):
            raise _refused(command, "a psql command that may not run")

    def comment(self, comment: Comment) -> None:
        text, line = comment.text, comment.line
        if self._footer:
            self._closed = self._closed or text == b"--"
        if text == HEADER:
            if self._begun:
                raise _refused(comment, "a second beginning")
            self._begun = True
        elif text == SECTION:
            if self._section:
                raise _cut(self._section)
            self._section = line
        elif text == SECTION_END:
            self._section = 0
        elif text == FOOTER:
            self._footer = line

    def end(self) -> None:
        if not self._begun:
            raise DumpRefused(
                "this is no dump of pg_dumpall",
                detail=f'its first words are not "{HEADER.decode()}"',
                hint="A dump of a single database (pg_dump) is not what this loads.",
            )
        if self._section:
            raise _cut(self._section)
        if not self._closed or self._token:
            raise DumpRefused(
                "the dump is cut: it lacks its last lines",
                detail=f'no "{FOOTER.decode()}" at its end',
                hint="Take another backup; this one lacks its end.",
            )

    def _in_between(self, event: Statement | MetaCommand) -> None:
        if self._footer:
            raise _refused(event, "something after its end")
        if not self._begun:
            raise _refused(event, "something before its beginning")


def _calls_files(code: bytes) -> bool:
    begun = _RUNS_NOW.match(code)
    return begun is not None and _CALL.search(code, begun.end()) is not None


def _cut(line: int) -> DumpRefused:
    return DumpRefused(
        f"the dump is cut: the database that begins in line {line} has no end",
        detail=f'no "{SECTION_END.decode()}" follows',
        hint="Take another backup; this one lacks its end.",
    )


def _refused(event: Statement | MetaCommand | Comment, what: str) -> DumpRefused:
    return DumpRefused(
        f"the dump holds {what} (line {event.line})",
        detail=shortened(event.text),
        hint="Nothing of it was loaded. Find out who wrote this dump, and take another backup. If "
        "the statement is your own, load it by hand, as the page of logical-backup says.",
    )
