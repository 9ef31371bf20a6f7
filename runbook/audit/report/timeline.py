"""The timeline of a run as a picture: bars of its actions, the waiting for people cut out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from runbook.audit.report.kind import kind
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
from runbook.audit.report.run_view import ActionView, RunView, moment
from runbook.units import readable_seconds

_LABELS = 330.0
_WHERE = 140.0
_NUMBERS = 26.0
_ROW = 22.0
_THICKNESS = 0.6
_TOP = 50.0
_WAIT_SHARE = 0.05
_WAITS_SHARE = 0.3
_LEAST = 2.5
_MOST_ACTIONS = 40
_MOST_ROWS = 60
_UNITS = ((1.0, "s"), (60.0, "min"), (3600.0, "h"))


@dataclass(frozen=True)
class _Row:
    """Actions that are drawn side by side, what stands before them, and what after."""

    step: str
    label: str
    actions: Sequence[ActionView]
    told: str


class _Axis:
    """Maps seconds since the beginning to places; the waiting is as narrow as may be."""

    def __init__(
        self,
        began: datetime,
        ended: datetime,
        waits: Sequence[tuple[float, float]],
        room: float,
    ) -> None:
        self._began, self._ended = began, ended
        self.waits, self.room = waits, room
        whole = (ended - began).total_seconds()
        self.work = max(whole - sum(end - start for start, end in waits), 0.001)
        share = min(_WAIT_SHARE, _WAITS_SHARE / len(waits)) if waits else 0.0
        scale = room * (1 - share * len(waits)) / self.work
        self._seconds, self._places, self._worked = [0.0], [0.0], [0.0]
        for start, end in waits:
            self._knot(start, (start - self._seconds[-1]) * scale, start - self._seconds[-1])
            self._knot(end, room * share, 0.0)
        rest = max(whole - self._seconds[-1], 0.001)
        self._knot(self._seconds[-1] + rest, rest * scale, rest)

    def _knot(self, at: float, place: float, worked: float) -> None:
        self._seconds.append(at)
        self._places.append(self._places[-1] + place)
        self._worked.append(self._worked[-1] + worked)

    def place(self, seconds: float) -> float:
        """Give the place of so many seconds after the beginning."""
        return float(np.interp(seconds, self._seconds, self._places))

    def place_of(self, at: str) -> float:
        """Give the place of a moment as the record has it; what has not ended goes to the end."""
        return self.place(((moment(at) or self._ended) - self._began).total_seconds())

    def worked(self, seconds: float) -> float:
        """Give the place by which so many seconds of work were done."""
        return float(np.interp(seconds, self._worked, self._places))


def timeline(seen: RunView) -> Markup | None:
    """Draw a run; None when there is nothing to draw."""
    began, ended = moment(seen.began), moment(seen.ended)
    if began is None or ended is None or not any(moment(each.began) for each in seen.actions):
        return None
    with drawing():
        rows = _rows(seen)
        picture = Picture(_TOP + len(rows) * _ROW + 4)
        left = _NUMBERS + 12 + max(width_of(row.label) for row in rows)
        right = 10 + max(width_of(row.told) for row in rows)
        picture.frame(left=left, right=right, top=_TOP, bottom=4)
        room = WIDTH - left - right
        axis = _Axis(began, ended, tuple(_waits(seen, began)), room)
        axes = picture.figure.add_subplot(xlim=(0, room), ylim=(len(rows) - 0.5, -0.5))
        for number, row in enumerate(rows):
            axes.text(-left, number, row.step, va="center", color=COLOURS["quiet"])
            axes.text(_NUMBERS - left, number, row.label, va="center")
            _bars(picture, axes, axis, number, row)
        for start, end in axis.waits:
            band = axes.axvspan(axis.place(start), axis.place(end), color=COLOURS["wait"], lw=0)
            picture.say(band, f"waited {readable_seconds(end - start)}")
        _ticks(axes, axis)
        picture.legend(_keys(seen, axis))
        return picture.written("timeline", "Timeline of this run", _told(seen, axis, rows))


def _waits(seen: RunView, began: datetime) -> Iterator[tuple[float, float]]:
    for start, end in seen.waits:
        first, last = moment(start), moment(end)
        if first and last and (last - first).total_seconds() > 1:
            yield (first - began).total_seconds(), (last - began).total_seconds()


def _rows(seen: RunView) -> Sequence[_Row]:
    """Give an action a row; of many actions each step, and of many steps the longest."""
    actions = [action for action in seen.actions if moment(action.began)]
    if len(actions) <= _MOST_ACTIONS:
        return [_row_of_action(action) for action in actions]
    steps = [step for step in seen.steps.values() if step.actions]
    longest = sorted(steps, key=lambda step: -sum(a.seconds or 0 for a in step.actions))
    kept = {id(step) for step in longest[:_MOST_ROWS]}
    return [
        _row(step.number, step.title, step.actions, _counted(step.actions))
        for step in steps
        if id(step) in kept
    ]


def _row_of_action(action: ActionView) -> _Row:
    where = fitting(action.where, _WHERE)
    return _row(action.step, f"{where}: {_typed(action.command)}", [action], _took(action))


def _row(step: str, label: str, actions: Sequence[ActionView], told: str) -> _Row:
    return _Row(fitting(step, _NUMBERS), fitting(label, _LABELS), actions, told)


def _typed(command: str) -> str:
    """Give a command on one line, its program without the folder."""
    words = command.split()
    return " ".join([words[0].rpartition("/")[2], *words[1:]]) if words else ""


def _took(action: ActionView) -> str:
    if action.seconds is None:
        return action.outcome
    took = readable_seconds(action.seconds)
    return took if kind(action.outcome) == "good" else f"{action.outcome} after {took}"


def _counted(actions: Sequence[ActionView]) -> str:
    outcomes = Counter(action.outcome for action in actions)
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())


def _bars(picture: Picture, axes: Axes, axis: _Axis, number: int, row: _Row) -> None:
    """Draw the bars of a row, and how long they took behind the last of them."""
    last = 0.0
    for action in row.actions:
        place = axis.place_of(action.began)
        width = max(axis.place_of(action.ended) - place, _LEAST)
        paint = painted(kind(action.outcome), width)
        bar = Rectangle((place, number - _THICKNESS / 2), width, _THICKNESS, **paint)
        picture.say(axes.add_patch(bar), f"{action.where}: {action.command} ({_took(action)})")
        last = max(last, place + width)
    axes.text(last + 5, number, row.told, va="center", color=COLOURS["quiet"])


def _ticks(axes: Axes, axis: _Axis) -> None:
    """Name seconds of work."""
    unit, name = next((u for u in reversed(_UNITS) if u[0] <= axis.work / 2), _UNITS[0])
    steps = [1, 2, 2.5, 5, 10] if unit == 1 else [1, 1.5, 2, 3, 5, 10]
    ticks = MaxNLocator(6, steps=steps).tick_values(0, axis.work / unit)
    shown = [float(tick) for tick in ticks if tick * unit <= axis.work]
    axes.set_xticks([axis.worked(t * unit) for t in shown], [f"{t:g} {name}" for t in shown])
    axes.xaxis.tick_top()
    axes.spines["bottom"].set_visible(False)
    axes.set_yticks([])
    axes.grid(visible=True, axis="x")


def _keys(seen: RunView, axis: _Axis) -> Iterator[Patch]:
    """Explain the colours that are there."""
    kinds = {kind(action.outcome) for action in seen.actions}
    for name, label in (("good", "done"), ("bad", "failed or unfinished")):
        if name in kinds:
            yield key(name, label)
    if axis.waits:
        yield key("wait", "waiting for people, shortened")


def _told(seen: RunView, axis: _Axis, rows: Sequence[_Row]) -> str:
    """Say in words what is drawn."""
    waited = sum(end - start for start, end in axis.waits)
    said = f" besides {readable_seconds(waited)} of waiting for people" if waited else ""
    parts = "; ".join(f"{row.step} {row.label}: {row.told}" for row in rows)
    return f"{_counted(seen.actions)}, in {readable_seconds(axis.work)}{said}. {parts}"
