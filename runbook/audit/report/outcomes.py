"""Pictures of runs by outcome: over time, and by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from runbook.audit.history import OUTCOMES
from runbook.audit.report.kind import KINDS, kind
from runbook.audit.report.picture import (
    COLOURS,
    WIDTH,
    Picture,
    drawing,
    fitting,
    key,
    painted,
    width_of,
)

Row = tuple[str, Mapping[str, int]]
"""A name and its runs by outcome."""

_HEIGHT = 190.0
_LEGEND = 26.0
_AXIS = 24.0
_ROW = 22.0
_LABELS = 240.0
_DATE_ROOM = 64.0
_THICKNESS = 0.7
_LEAST = 1.5
"""The least size of a piece, in units of the picture, so that one of a thousand is seen."""


def over_time(rows: Sequence[Row]) -> Markup:
    """Stack the runs of each span of time."""
    with drawing():
        picture = Picture(_HEIGHT)
        left = _count_room(rows)
        picture.frame(left=left, right=4, top=_LEGEND + 8, bottom=_AXIS)
        axes = picture.figure.add_subplot()
        most = _most(rows)
        least = most * _LEAST / (_HEIGHT - _LEGEND - 8 - _AXIS)
        for place, row in enumerate(rows):
            for piece, said in _pieces(row, place, least, upright=True):
                picture.say(axes.add_patch(piece), said)
        axes.set(xlim=(-0.5, len(rows) - 0.5), ylim=(0, most * 1.04))
        _count_axis(axes, "y", 4)
        every = max(1, -(-len(rows) * _DATE_ROOM // (WIDTH - left)))
        shown = range(0, len(rows), int(every))
        axes.set_xticks(list(shown), [rows[place][0] for place in shown])
        picture.legend(_keys(rows))
        told = "; ".join(_told(row) for row in rows)
        return picture.written("over-time", "Runs over time, by outcome", told)


def by_name(name: str, title: str, rows: Sequence[Row]) -> Markup:
    """Lay the runs of each name side by side; `name` tells this picture from others."""
    with drawing():
        picture = Picture(_LEGEND + len(rows) * _ROW + _AXIS)
        labels = [fitting(row[0] or "(none)", _LABELS) for row in rows]
        left = max(map(width_of, labels)) + 10
        right = _count_room(rows) + 4
        picture.frame(left=left, right=right, top=_LEGEND, bottom=_AXIS)
        axes = picture.figure.add_subplot()
        most = _most(rows)
        unit = most / (WIDTH - left - right)
        for place, row in enumerate(rows):
            end = 0.0
            for piece, said in _pieces(row, place, unit * _LEAST, upright=False):
                picture.say(axes.add_patch(piece), said)
                end = piece.get_x() + piece.get_width()
            axes.text(-10 * unit, place, labels[place], ha="right", va="center")
            total = f"{sum(row[1].values()):,}"
            axes.text(end + 5 * unit, place, total, va="center", color=COLOURS["quiet"])
        axes.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, most * 1.001), yticks=[])
        _count_axis(axes, "x", 6)
        picture.legend(_keys(rows))
        return picture.written(name, title, "; ".join(_told(row) for row in rows))


def _pieces(
    row: Row, place: int, least: float, *, upright: bool
) -> Iterator[tuple[Rectangle, str]]:
    """Give a bar's pieces, one of each kind of outcome, and what they say."""
    end = 0.0
    name, counts = row
    for each in KINDS:
        found = {outcome: count for outcome, count in counts.items() if kind(outcome) == each}
        size = float(sum(found.values()))
        if not size:
            continue
        size, side = max(size, least), place - _THICKNESS / 2
        extent = (_THICKNESS, size) if upright else (size, _THICKNESS)
        at = (side, end) if upright else (end, side)
        piece = Rectangle(at, *extent, **painted(each, size / least * _LEAST))
        end += size
        yield piece, f"{name}: {_counted(found)}"


def _count_axis(axes: Axes, which: Literal["x", "y"], most: int) -> None:
    """Let an axis count runs in whole numbers."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_locator(MaxNLocator(most, integer=True, min_n_ticks=2))
    axis.set_major_formatter("{x:,.0f}")
    axes.grid(visible=True, axis=which)


def _keys(rows: Sequence[Row]) -> Iterator[Patch]:
    """Explain the kinds that are there."""
    present = {kind(outcome) for _, counts in rows for outcome in counts if counts[outcome]}
    return (key(name, label) for name, label in KINDS.items() if name in present)


def _most(rows: Sequence[Row]) -> int:
    return max((sum(counts.values()) for _, counts in rows), default=0) or 1


def _count_room(rows: Sequence[Row]) -> float:
    return width_of(f"{_most(rows) * 2:,}") + 10


def _told(row: Row) -> str:
    return f"{row[0] or '(none)'}: {_counted(row[1]) or 'no runs'}"


def _counted(counts: Mapping[str, int]) -> str:
    known = [*OUTCOMES, *(name for name in counts if name not in OUTCOMES)]
    return ", ".join(f"{counts[name]:,} {name}" for name in known if counts.get(name))
