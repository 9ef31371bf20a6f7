"""How a run ended, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runbook.audit import read_trail
from runbook.drive import Result
from runbook.objectives import RECOVERY_POINT, RECOVERY_TIME, Figure, figures
from runbook.times import StepTime, bars, step_times, total
from runbook.units import counted, readable_seconds


def show_summary(console: Console, result: Result) -> None:
    """Show what was changed, what the outage cost, and where the record lies."""
    table = Table.grid(padding=(0, 2))
    table.add_row("done", f"{result.plan.runbook} on {result.plan.cluster}: {_outcome(result)}")
    for said in _said(result):
        table.add_row("", said)
    for name, figure in _figures(result).items():
        if name in _MEANING:
            short, meaning = _MEANING[name]
            told = "; ".join(part for part in (meaning, figure.judgement) if part)
            table.add_row(short, f"{readable_seconds(figure.seconds)} ({told})")
    table.add_row("record", str(result.trail))
    console.print()
    if result.plan.headline:
        console.print(Text(result.plan.headline, style="bold red"), soft_wrap=True)
    console.print(table, highlight=False, soft_wrap=True)
    times = _times(result)
    if times:
        console.print()
        console.print(_chart(times), highlight=False)


def as_record(result: Result) -> dict[str, object]:
    """Give the result as plain values."""
    told = _figures(result)
    time, point = told.get(RECOVERY_TIME), told.get(RECOVERY_POINT)
    return {
        "runbook": result.plan.runbook,
        "cluster": result.plan.cluster,
        "plan": result.plan.model_dump(mode="json"),
        "plan_sha256": result.plan.digest,
        "headline": result.plan.headline,
        "changes": result.plan.changes if result.trail is None else result.changed,
        "dry_run": result.trail is None,
        "recovery_time_seconds": _seconds(time),
        "recovery_point_seconds": _seconds(point),
        "recovery_time_budget_seconds": _allowed(time),
        "recovery_point_budget_seconds": _allowed(point),
        "steps": [asdict(time) for time in _times(result)],
        "audit_file": None if result.trail is None else str(result.trail),
    }


_MEANING = {
    RECOVERY_TIME: ("RTO", "applications stopped until healthy"),
    RECOVERY_POINT: ("RPO", "age of the data"),
}


def _outcome(result: Result) -> str:
    if result.changed:
        return counted(result.changed, "change")
    if result.plan.headline:
        return "nothing was changed"
    return "everything was already so" if result.plan.has_goals else "it only read"


def _times(result: Result) -> tuple[StepTime, ...]:
    return () if result.trail is None else step_times(read_trail(result.trail))


def _chart(times: tuple[StepTime, ...]) -> Table:
    table = Table(box=None, padding=(0, 1), title="Where the time went", title_justify="left")
    table.add_column("step", justify="right")
    table.add_column("")
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, style="cyan")
    for time, bar in bars(times):
        table.add_row(time.number, time.title, readable_seconds(time.seconds), bar)
    table.add_row("", "all of it", readable_seconds(total(times)), "")
    return table


def _figures(result: Result) -> dict[str, Figure]:
    """Collect what was measured, with its budgets."""
    told = {name.removesuffix(" seconds"): value for name, value in result.memory.items()}
    return {figure.name: figure for figure in figures(told)}


def _seconds(figure: Figure | None) -> float | None:
    return None if figure is None else round(figure.seconds, 3)


def _allowed(figure: Figure | None) -> float | None:
    return None if figure is None else figure.allowed


def _said(result: Result) -> list[str]:
    """Collect what the longer pieces of work said at their end; the record has all of it."""
    if result.trail is None:
        return []
    entries = read_trail(result.trail)
    works = (entry for entry in entries if entry["event"] == "done" and entry["exit_code"] is None)
    return [str(entry["said"]) for entry in works if entry["said"]]
