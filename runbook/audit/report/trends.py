"""Pictures of backups: how their size and duration go on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from statistics import median

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.ticker import MaxNLocator

from runbook.audit.past_run import SeenBackup
from runbook.audit.report.picture import COLOURS, Picture, drawing
from runbook.units import readable_bytes, readable_seconds

Unit = tuple[float, str]
"""A unit of an axis: how much it is, and its name."""

Taken = tuple[datetime, SeenBackup]
"""A backup, and when its run began."""

_BYTES = tuple((1024.0**power, name) for power, name in enumerate(("B", "kB", "MB", "GB", "TB")))
_SECONDS = ((1.0, "s"), (60.0, "min"), (3600.0, "h"))
_HEIGHT = 154.0
_MOST_POINTS = 120
_MARKED = 40


def trends(clusters: Sequence[tuple[str, Sequence[Taken]]]) -> list[Markup]:
    """Draw both, for each cluster on the same two axes: making these anew takes longest."""
    with drawing():
        picture = Picture(_HEIGHT)
        picture.frame(left=56, right=38, top=24, bottom=28)
        both = picture.figure.subplots(1, 2, sharex=True, gridspec_kw={"wspace": 0.24})
        for axes in both:
            axes.grid(visible=True, axis="y")
            axes.yaxis.set_major_locator(MaxNLocator(4, min_n_ticks=2))
        both[0].xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=5))
        return [
            picture.written(f"trend-{number}", f"Backups of {cluster}", _drawn(both, taken))
            for number, (cluster, taken) in enumerate(clusters)
        ]


def _drawn(both: Sequence[Axes], taken: Sequence[Taken]) -> str:
    """Draw the backups of a cluster, and say in words what is to be seen."""
    left, right = both
    first, last = taken[0][1], taken[-1][1]
    size = f"Size, {readable_bytes(first.size)} → {readable_bytes(last.size)}"
    duration = f"Duration, {readable_seconds(first.seconds)} → {readable_seconds(last.seconds)}"
    days = [float(day) for day in date2num([began for began, _ in taken])]
    margin = (days[-1] - days[0]) * 0.03 or 0.5
    left.set_xlim(days[0] - margin, days[-1] + margin)
    within_days = days[-1] - days[0] < 3
    left.xaxis.set_major_formatter(DateFormatter("%m-%d %H:%M" if within_days else "%Y-%m-%d"))
    _line(left, size, days, [float(backup.size) for _, backup in taken], _BYTES)
    _line(right, duration, days, [backup.seconds for _, backup in taken], _SECONDS)
    since, until = taken[0][0], taken[-1][0]
    return f"{len(taken):,} backups from {since:%Y-%m-%d} to {until:%Y-%m-%d}. {size}. {duration}."


def _line(
    axes: Axes, title: str, days: Sequence[float], values: Sequence[float], units: Sequence[Unit]
) -> None:
    """Draw values; of many, the median of neighbours and the range around it."""
    for old in (*axes.lines, *axes.collections):
        old.remove()
    unit, name = next((u for u in reversed(units) if u[0] <= max(values)), units[0])
    scaled = [value / unit for value in values]
    count = -(-len(scaled) // _MOST_POINTS)
    groups = [slice(at, at + count) for at in range(0, len(scaled), count)]
    middles = [median(days[group]) for group in groups]
    blue = COLOURS["link"]
    if count > 1:
        least, most = ([pick(scaled[each]) for each in groups] for pick in (min, max))
        axes.fill_between(middles, least, most, color=blue, alpha=0.2, linewidth=0)
    line = [median(scaled[group]) for group in groups]
    marker = "o" if len(scaled) <= _MARKED else ""
    axes.plot(middles, line, color=blue, linewidth=1.6, marker=marker, markersize=3.5)
    axes.plot(days[-1:], scaled[-1:], color=blue, marker="o", markersize=5)
    axes.set_title(title)
    axes.set_ylim(0, max(scaled) * 1.08 or 1)
    axes.yaxis.set_major_formatter(f"{{x:g}} {name}")
