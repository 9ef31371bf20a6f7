"""A value whose every character knows where in which file it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from runbook.repoint.form import Span


@dataclass(frozen=True)
class Place:
    """A piece of a file's text, in characters."""

    path: str
    start: int
    end: int


@dataclass(frozen=True)
class Traced:
    """A text and the place of each of its characters; None where no file holds it."""

    text: str = field(repr=False)
    places: tuple[Place | None, ...] = field(repr=False)

    def __post_init__(self) -> None:
        assert len(self.text) == len(self.places)

    def __add__(self, other: Traced) -> Traced:
        return Traced(self.text + other.text, self.places + other.places)

    def cut(self, start: int, end: int | None = None) -> Traced:
        """Give a part of it."""
        return Traced(self.text[start:end], self.places[start:end])

    def place(self, span: Span) -> Place | None:
        """Give the one piece of one file that holds a part of it; None when there is none."""
        places = self.places[slice(*span)]
        first, last = (places[0], places[-1]) if places else (None, None)
        if first is None or last is None:
            return None
        for left, right in pairwise(places):
            if not left or not right or (left.path, left.end) != (right.path, right.start):
                return None
        return Place(first.path, first.start, last.end)


def written(text: str, path: str, at: int) -> Traced:
    """Trace a text that stands in a file at an offset, character by character."""
    return Traced(text, tuple(Place(path, at + i, at + i + 1) for i in range(len(text))))


def unwritten(text: str) -> Traced:
    """Make a value that stands in no file."""
    return Traced(text, (None,) * len(text))


def joined(parts: list[Traced]) -> Traced:
    """Put parts together."""
    places = tuple(place for part in parts for place in part.places)
    return Traced("".join(part.text for part in parts), places)
