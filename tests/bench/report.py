"""Results for people: rich tables, Markdown; and for programs: JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.series import Goal, Part, Series, Spread, ratios

_COLUMNS = ("variant", "s", "ratio", "MB out", "MB RSS", "CPU s", "foreign", "what it verifies")
_GOALS = ("goal", "should be", "measured", "")


def shown(part: Part, console: Console) -> None:
    """Print a part."""
    table = Table(title=part.title, title_justify="left", title_style="bold", box=None)
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column in _COLUMNS[::7] else "right")
    for row in _rows(part):
        table.add_row(*row)
    console.print(table)
    goals = Table(box=None, show_header=True)
    for column in _GOALS:
        goals.add_column(column)
    for goal in part.goals:
        goals.add_row(*_goal(goal), style="green" if goal.reached else "red")
    console.print(goals)


def markdown(parts: list[Part], conditions: list[str]) -> str:
    """Write all parts as one page."""
    lines = ["# Measurements", "", *(f"- {line}" for line in conditions), ""]
    for part in parts:
        lines += [f"## {part.title}", "", *part.remarks, "", *_table(_COLUMNS, _rows(part))]
        if any(series.stages for series in part.series):
            lines += ["", "Stages, seconds:", "", *_table(("variant", "stage", "s"), _stages(part))]
        if part.goals:
            lines += ["", *_table(_GOALS, [_goal(goal) for goal in part.goals])]
        lines.append("")
    return "\n".join(lines)


def written(parts: list[Part], conditions: list[str], directory: Path) -> Path:
    """Write report.md and results.json into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "report.md").write_text(markdown(parts, conditions))
    tree = {
        "conditions": conditions,
        "parts": [{**asdict(part), "reached": [g.reached for g in part.goals]} for part in parts],
    }
    (directory / "results.json").write_text(json.dumps(tree, indent=1, default=dict) + "\n")
    return directory / "report.md"


def _rows(part: Part) -> list[tuple[str, ...]]:
    yardstick = part.series[0] if part.compared else None
    return [_row(yardstick, series) for series in part.series]


def _row(yardstick: Series | None, series: Series) -> tuple[str, ...]:
    return (
        series.name,
        _spread(Spread.of(series.seconds)),
        _ratio(yardstick, series),
        f"{series.output / 1e6:.0f}" if series.output else "",
        f"{series.memory / 2**20:.0f}" if series.memory else "",
        f"{series.middle('own'):.1f}",
        f"{series.middle('foreign'):.1f}",
        series.note,
    )


def _ratio(yardstick: Series | None, series: Series) -> str:
    if yardstick is None:
        return ""
    if series is yardstick:
        return "1"
    return _spread(Spread.of(ratios(yardstick.seconds, series.seconds)))


def _stages(part: Part) -> list[tuple[str, ...]]:
    return [
        (series.name, stage, _spread(Spread.of(series.stage(stage))))
        for series in part.series
        for stage in series.stages
    ]


def _goal(goal: Goal) -> tuple[str, ...]:
    unit = goal.unit if goal.unit == "x" else f" {goal.unit}"
    wanted = f"{goal.sense} {goal.bound:g}{unit}"
    return (goal.text, wanted, _spread(goal.spread), "reached" if goal.reached else "NOT reached")


def _spread(spread: Spread) -> str:
    return f"{spread.middle:.2f} ({spread.least:.2f}-{spread.greatest:.2f})"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [_line(head), _line(("---",) * len(head)), *map(_line, rows)]


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
