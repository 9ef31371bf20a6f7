"""What a dump defines: its statements, in a form that those of another dump can be held against.

PostgreSQL writes some expressions anew when they are loaded: casts and parentheses move. These
and white space do not count.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from hashlib import blake2b

from runbook.logical.load.errors import shortened
from runbook.logical.load.words import IDENTIFIER

CLUSTER = ""
"""Stands for what belongs to no database: roles, tablespaces."""

# Rows, or of rows: a dump of the schema alone has none of these. Where a tablespace lies is its
# site's own business.
_OTHER = re.compile(
    rb"REFRESH |CREATE TABLESPACE |ALTER LARGE OBJECT "
    rb"|(?:COMMENT ON|GRANT|REVOKE|SECURITY LABEL) [^']*?LARGE OBJECT \d",
    re.DOTALL,
)
_MOVES = re.compile(
    rb"::(?:\"[^\"]*\"|\w+)(?:\.(?:\"[^\"]*\"|\w+))?"
    rb"(?: varying| precision)?(?:\(\d+(?:,\d+)?\))?(?: with(?:out)? time zone)?(?:\[\])*|[\s()]+"
)
# What pg_dumpall writes alike in every version, though not in the same place.
_OF_ALL_VERSIONS = re.compile(
    rb"(?:CREATE|ALTER) ROLE |ALTER DATABASE " + IDENTIFIER + rb" (?:SET|OWNER TO) "
)
# But for this: since version 16 it tells more of a membership.
_MEMBER = re.compile(
    rb"(GRANT " + IDENTIFIER + rb" TO " + IDENTIFIER + rb")(?: WITH ([^;]*?))?(?: GRANTED BY .*)?;"
)


class Definitions:
    """Statements that define things, by database, and how often each one is there."""

    def __init__(self) -> None:
        self._counted: dict[str, Counter[bytes]] = defaultdict(Counter)
        self._portable: dict[bytes, str] = {}
        self._shown: dict[bytes, str] = {}

    def add(self, database: str, statement: bytes) -> None:
        """Keep a statement, where it is one that counts."""
        if not statement or _OTHER.match(statement):
            return
        key = blake2b(_MOVES.sub(b"", statement), digest_size=16).digest()
        self._counted[database][key] += 1
        self._shown.setdefault(key, shortened(statement))
        if form := _of_all_versions(statement):
            self._portable.setdefault(form, shortened(statement))

    def beyond(self, other: Definitions, database: str) -> Iterator[str]:
        """Give the statements for a database that another dump lacks, shortened, no secrets."""
        mine, theirs = self._counted.get(database), other._counted.get(database)
        for key in (mine or Counter()) - (theirs or Counter()):
            yield self._shown[key]

    def lacking_roles(self, other: Definitions) -> Iterator[str]:
        """Give what another dump, of another version, lacks of roles and settings."""
        for form, shown in self._portable.items():
            if form not in other._portable:
                yield shown


def _of_all_versions(statement: bytes) -> bytes:
    """Give the form of a statement that does not depend on the version; empty: there is none."""
    if found := _MEMBER.fullmatch(statement):
        return found[1] + (b" WITH ADMIN" if b"ADMIN" in (found[2] or b"") else b"")
    return _MOVES.sub(b"", statement) if _OF_ALL_VERSIONS.match(statement) else b""
