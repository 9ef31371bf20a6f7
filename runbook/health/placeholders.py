"""Placeholders in declared calls: `{name}` of an earlier answer, `{secret:name}`, `{unique}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from pydantic import JsonValue

UNIQUE = "unique"
SECRET = "secret:"  # noqa: S105 - the word before a secret's name

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NAME = re.compile(r"[a-z][a-z0-9_]*|secret:[A-Za-z0-9][A-Za-z0-9_.-]*")


def names(text: str) -> tuple[str, ...]:
    """List the placeholders of a text; ValueError where a brace is none and not doubled."""
    found = []
    for piece in _PIECE.finditer(text):
        if piece[0] in ("{{", "}}"):
            continue
        if piece[1] is None or not _NAME.fullmatch(piece[1]):
            raise ValueError(f"{piece[0]!r} is no placeholder; a brace itself is written twice")
        found.append(piece[1])
    return tuple(found)


def names_within(value: JsonValue) -> Iterator[str]:
    """List the placeholders of all texts in a JSON value."""
    for text in _texts(value):
        yield from names(text)


def filled(
    text: str, values: Mapping[str, str], encoded: Callable[[str], str] = lambda value: value
) -> str:
    """Put the values in, each through `encoded`; KeyError names the first that is not known."""

    def put(piece: re.Match[str]) -> str:
        return piece[0][0] if piece[1] is None else encoded(values[piece[1]])

    return _PIECE.sub(put, text)


def filled_within(value: JsonValue, values: Mapping[str, str]) -> JsonValue:
    """Put the values into all texts of a JSON value."""
    if isinstance(value, str):
        return filled(value, values)
    if isinstance(value, list):
        return [filled_within(item, values) for item in value]
    if isinstance(value, dict):
        return {filled(key, values): filled_within(item, values) for key, item in value.items()}
    return value


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _texts(item)
