"""Past runs as text: a table of many, the lines of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runbook.audit.past_run import PastRun
    from runbook.audit.report.run_view import RunView


def show_table(runs: Sequence[PastRun]) -> None:
    """Print a table, wide where it goes to another program."""
    from rich.table import Table
    from rich.text import Text

    from deployments.cli.wide import wide_console

    if not runs:
        print("There is no such run on this machine.")
        return
    table = Table(box=None, header_style="bold")
    for name in ("began (UTC)", "run", "runbook", "cluster", "outcome", "asked by", "answered by"):
        table.add_column(name, no_wrap=not name.endswith(" by"))
    table.add_column("took", justify="right", no_wrap=True)
    for run in runs:
        table.add_row(*(Text(cell) for cell in _cells(run)))
    wide_console().print(table)


def _cells(run: PastRun) -> Iterator[str]:
    from runbook.audit.summary import REJECTED
    from runbook.units import readable_seconds

    yield run.began[:16].replace("T", " ")
    yield run.run[:8]
    yield from (run.runbook, run.cluster, run.outcome, run.requested_by)
    counted = (answer.approver for answer in run.answers if answer.decision != REJECTED)
    emergency = [f"EMERGENCY {run.emergency}"] if run.emergency else []
    yield ", ".join([*counted, *emergency])
    yield readable_seconds(run.seconds) if run.seconds is not None else ""


def lines_of(seen: RunView) -> Iterator[str]:
    """Write a run as lines of text."""
    from runbook.objectives import figures

    yield f"{seen.about('runbook')} on {seen.about('cluster')}: {seen.summary.outcome}"
    if seen.plan and seen.plan.headline:
        yield seen.plan.headline
    yield f"run      {seen.run}"
    yield f"asked by {seen.about('requested_by')} {seen.began[:19]} UTC {seen.about('reason')}"
    for name, value in seen.parameters.items():
        if name != "reason":
            yield f"         {name}={value}"
    for answer in seen.answers:
        who = f"{answer.get('decision')} by {answer.get('approver')}: {answer.get('reason')}"
        worth = answer.get("why") or answer.get("verified") or "not verified"
        worth = worth if answer.get("counts", True) else f"did not count: {worth}"
        when = str(answer.get("answered_at", answer["at"]))[:19]
        yield f"answer   {when} {who} ({answer.get('door')}; {worth})"
    for figure in figures(seen.summary.fields.get("measured")):
        yield f"measured {figure.name}: {figure}"
    for part in seen.parts.values():
        of = f" of {part['of']}" if part.get("of") else ""
        why = str(part.get("why") or "").partition("\n")[0]
        proof = why or f"{part.get('what')}, SHA-256 {part.get('sha256')}"
        yield f"part     {part.get('runbook')}{of}: {part.get('outcome')}, {proof}"
    for step in seen.steps.values():
        number = f"{step.number:>4}." if step.number else " " * 5
        yield f"{number} {step.title or 'Before the first step'}"
        for action in step.actions:
            took = "" if action.seconds is None else f" {action.seconds} s"
            code = f" exit {action.exit_code}" if action.exit_code else ""
            yield f"      {action.where}: {action.command}  [{action.outcome}{code}{took}]"
    if seen.summary.fields.get("error"):
        yield str(seen.summary.fields["error"])
