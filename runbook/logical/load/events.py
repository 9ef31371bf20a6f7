"""What the text of a dump consists of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement, its semicolon included; `line` is where it begins."""

    text: bytes
    line: int


@dataclass(frozen=True, slots=True)
class MetaCommand:
    """One line for psql that begins with a backslash."""

    text: bytes
    line: int


@dataclass(frozen=True, slots=True)
class Comment:
    """One line of comment between statements, its dashes included."""

    text: bytes
    line: int


@dataclass(frozen=True, slots=True)
class CopyBegin:
    """COPY from here on; `table` is written as in the dump, qualified and quoted."""

    text: bytes
    table: str
    line: int


@dataclass(frozen=True, slots=True)
class CopyRows:
    """The next bytes of COPY; `whole`: they end where a row ends."""

    data: memoryview
    rows: int
    whole: bool


@dataclass(frozen=True, slots=True)
class CopyEnd:
    """The end of COPY."""

    line: int


Event = Statement | MetaCommand | Comment | CopyBegin | CopyRows | CopyEnd
