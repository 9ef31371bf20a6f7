"""What a statement of a dump is, as far as the order of loading depends on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from runbook.logical.load.words import QUALIFIED


class Kind(Enum):
    """What a statement is for."""

    SETTING = auto()
    """Holds for the session from here on."""
    DATA = auto()
    """Values of sequences, large objects."""
    ROW = auto()
    """INSERT."""
    TABLE = auto()
    """CREATE TABLE of a table that holds rows itself."""
    KEY = auto()
    """Primary key, unique or exclusion constraint: locks its table."""
    INDEX = auto()
    """Lets others read its table, so that several can be built at the same time."""
    REFERENCE = auto()
    """Foreign key: locks two tables."""
    ABOUT = auto()
    """Says something about an index or a constraint; can wait for the end of their building."""
    OTHER = auto()
    """Everything else: in its place."""


@dataclass(frozen=True, slots=True)
class Form:
    """A statement's kind, and the tables it is about, as they are written."""

    kind: Kind
    tables: tuple[str, ...] = ()


_Q = rb"(" + QUALIFIED + rb")"
_FORMS: tuple[tuple[Kind, re.Pattern[bytes]], ...] = tuple(
    (kind, re.compile(pattern, re.DOTALL))
    for kind, pattern in (
        (Kind.SETTING, rb"(?:SET|RESET) |SELECT pg_catalog\.set_config\("),
        (Kind.DATA, rb"SELECT |BEGIN;|COMMIT;"),
        (Kind.ROW, rb"INSERT INTO " + _Q),
        (Kind.TABLE, rb"CREATE (?:UNLOGGED )?TABLE " + _Q + rb" \((?!.*\)\nPARTITION BY )"),
        (
            Kind.KEY,
            rb"ALTER TABLE (?:ONLY )?"
            + _Q
            + rb"\n    ADD CONSTRAINT \S.* (?:PRIMARY KEY|UNIQUE|EXCLUDE) ",
        ),
        (Kind.INDEX, rb"CREATE (?:UNIQUE )?INDEX .*? ON (?:ONLY )?" + _Q + rb" USING "),
        (
            Kind.REFERENCE,
            rb"ALTER TABLE (?:ONLY )?"
            + _Q
            + rb"\n    ADD CONSTRAINT .* FOREIGN KEY .* REFERENCES "
            + _Q,
        ),
        (
            Kind.ABOUT,
            rb"COMMENT ON (?:INDEX|CONSTRAINT) |ALTER INDEX "
            rb"|ALTER TABLE (?:ONLY )?" + _Q + rb" (?:CLUSTER ON|REPLICA IDENTITY) ",
        ),
    )
)
_PLAIN_INDEX = re.compile(rb"CREATE (?:UNIQUE )?INDEX [^()]*\([^()]*\)(?: INCLUDE \([^()]*\))?;")
_PLAIN_KEY = re.compile(rb"[^()]* (?:PRIMARY KEY|UNIQUE) \([^()]*\);")


def form(statement: bytes) -> Form:
    """Tell what a statement is."""
    for kind, pattern in _FORMS:
        if found := pattern.match(statement):
            names = (name.decode(errors="replace") for name in found.groups() if name)
            return Form(kind, tuple(names))
    return Form(Kind.OTHER)


def depends_on_its_table_alone(statement: bytes) -> bool:
    """Tell whether an index or key is of plain columns: no function of it reads other tables."""
    return bool(_PLAIN_INDEX.fullmatch(statement) or _PLAIN_KEY.fullmatch(statement))


def setting_name(statement: bytes) -> str:
    """Give what a setting of the session is about, so that the last one of each counts."""
    words = re.split(rb"[\s(='\"]+", statement, maxsplit=3)
    return b" ".join(words[:3] if words[0] == b"SELECT" else words[1:2]).decode(errors="replace")


Settings = Mapping[str, bytes]
"""The settings in force at a place of the dump, by name."""
